// An app of a package in a real browser: through `tinyroot run`'s port, and through the page of `tinyroot serve`.
//
// A test fails on what a person would see broken: a request that fails or is answered by an error, an error in the console or in
// a script, a request to another authority than the app's own.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify, stripVTControlCharacters } from 'node:util';

const TOP = fileURLToPath(new URL('../..', import.meta.url));
const CHROMIUM = process.env.TINYROOT_TEST_CHROMIUM || '/usr/bin/chromium';

// A first start on a busy machine fills databases and caches.
const TEST_MS = 300_000;
const START_MS = 120_000;
const ACTION_MS = 45_000;
// The app's root may have to be made, then it is replayed some times.
const RECORD_MS = 900_000;

// Sandboxed as root Chromium does not start; without the rest it looks for its maker's servers.
const CHROMIUM_ARGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
];

function program() {
    const given = process.env.TINYROOT_TEST_PROGRAM;
    const places = given ? [given] : ['release', 'debug'].map((profile) => path.join(TOP, 'target', profile, 'tinyroot'));
    return places.find(existsSync);
}

/** Returns the package of an app. */
export function packageOf(app) {
    return path.join(process.env.TINYROOT_TEST_PACKAGES || '', `${app}.spk`);
}

/** Returns what the tests of some apps lack, each with what provides it. */
export async function lacking(apps) {
    const lacks = [];
    if (!existsSync(CHROMIUM)) lacks.push(`${CHROMIUM} is missing: apt-get install chromium`);
    for (const name of ['playwright-core', 'axe-core']) {
        await import(name).catch(() => lacks.push(`${name} is missing: npm ci, in tests/browser`));
    }
    if (!program()) lacks.push('there is no tinyroot: cargo build --release, or name one in TINYROOT_TEST_PROGRAM');
    if (!process.env.TINYROOT_TEST_PACKAGES) {
        lacks.push('TINYROOT_TEST_PACKAGES names no directory: build the recipes into one (tinyroot build RECIPE --output DIR/)');
    } else {
        for (const app of apps.filter((app) => !existsSync(packageOf(app)))) {
            lacks.push(`${packageOf(app)} is missing: tinyroot build recipes/${app} --output ${packageOf(app)}`);
        }
    }
    return lacks;
}

/** tinyroot in the foreground, with grains of its own; what it prints is kept for a failure. */
class Tinyroot {
    constructor(home) {
        this.home = home;
        this.printed = [];
    }

    /** Starts it and returns the URL that it prints. */
    async start(args, patience = START_MS) {
        const env = { ...process.env, XDG_DATA_HOME: this.home };
        this.child = spawn(program(), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
        this.ended = once(this.child, 'exit');
        const keep = (line) => this.printed.push(line);
        createInterface({ input: this.child.stderr }).on('line', keep);
        const lines = createInterface({ input: this.child.stdout });
        const url = new Promise((found) => lines.on('line', (line) => (line.startsWith('http://') ? found(line) : keep(line))));
        const late = new Promise((_, fail) => {
            setTimeout(() => fail(new Error(`no URL within ${patience / 1000} s`)), patience).unref();
        });
        const died = this.ended.then(([code]) => Promise.reject(new Error(`tinyroot ended with status ${code}`)));
        died.catch(() => {});
        return Promise.race([url, late, died]);
    }

    async stop() {
        if (this.child?.exitCode === null) {
            this.child.kill('SIGINT');
            await this.ended;
        }
    }
}

/** What went wrong in the pages of a browser, in words. */
class Faults {
    found = [];

    authorities = new Set();
    excused = [];

    watch(context) {
        context.setDefaultTimeout(ACTION_MS);
        context.on('request', (request) => {
            const url = new URL(request.url());
            if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && !this.authorities.has(url.host)) {
                this.found.push(`asks another authority: ${request.url()}`);
            }
        });
        context.on('requestfailed', (request) => {
            // A page that was left, or a download.
            const why = request.failure()?.errorText;
            if (why !== 'net::ERR_ABORTED') this.found.push(`${request.method()} ${request.url()} failed: ${why}`);
        });
        context.on('response', (response) => {
            if (response.status() < 400 || this.isExcused(response.status(), response.url())) return;
            this.found.push(`${response.request().method()} ${response.url()} is answered by ${response.status()}`);
        });
        context.on('console', (message) => {
            if (message.type() !== 'error') return;
            // Told above, with its method.
            const isStatus = /^Failed to load resource: the server responded with a status of \d+/.test(message.text());
            // What is meant to be an error is no script either.
            const isRefused = this.excused.some((one) => message.text().startsWith('Refused to execute') && message.text().includes(one.path));
            if (!isStatus && !isRefused) this.found.push(`console: ${message.text()} (${message.location().url})`);
        });
        context.on('weberror', (error) => this.found.push(`script: ${error.error()}`));
    }

    isExcused(status, url) {
        return this.excused.some((one) => one.status === status && new URL(url).pathname === one.path);
    }
}

/** An app that runs, and how a person gets to it. */
class Site {
    constructor(page, faults) {
        this.page = page;
        this.faults = faults;
    }

    /** Notes a page that is meant to be answered by an error, such as that of a wrong password. */
    expect(status, path) {
        this.faults.excused.push({ status, path });
    }

    /** Opens a path of the app. */
    async open(path) {
        return this.page.goto(this.origin + path);
    }

    /** Returns a page of another person's browser, who may see the app as well. */
    async another() {
        const own = this.page.context();
        const context = await own.browser().newContext();
        this.faults.watch(context);
        // What lets a browser in; the app's own cookies stay apart.
        await context.addCookies((await own.cookies()).filter((cookie) => cookie.name.startsWith('tinyroot_')));
        return context.newPage();
    }

    at(url) {
        this.origin = new URL(url).origin;
        this.faults.authorities = new Set([new URL(url).host]);
    }
}

/** Through `tinyroot run`'s port. */
class RunSite extends Site {
    async enter(tinyroot, app) {
        this.tinyroot = tinyroot;
        this.args = ['run', packageOf(app), '--port', String(await freePort())];
        this.at(await tinyroot.start(this.args));
        await this.page.goto(`${this.origin}/`);
    }

    /** Stops the grain and starts it again. */
    async restart() {
        await this.tinyroot.stop();
        await this.tinyroot.start(this.args);
        await this.page.goto(`${this.origin}/`);
    }
}

/** Through the page of `tinyroot serve`. */
class ServeSite extends Site {
    async enter(tinyroot, app) {
        this.list = await tinyroot.start(['serve', packageOf(app), '--port', String(await freePort())]);
        await this.click(/^New /);
    }

    /** Stops the grain and opens it again, with the buttons of the page. */
    async restart() {
        this.at(this.list);
        await this.page.goto(new URL('/', this.list).href);
        await this.page.getByRole('button', { name: 'Stop' }).click();
        await this.page.getByText('stopped').waitFor();
        await this.click('Open');
    }

    async click(name) {
        this.at(this.list);
        const pageHost = new URL(this.list).host;
        if (new URL(this.page.url(), this.list).host !== pageHost || this.page.url() === 'about:blank') {
            await this.page.goto(this.list);
        }
        // Both hosts while the one leads to the other.
        this.faults.authorities = { has: (host) => host === pageHost || /^g-[^.]+\.localhost:\d+$/.test(host) };
        await this.page.getByRole('button', { name }).click();
        await this.page.waitForURL((url) => url.hostname.startsWith('g-') && !url.pathname.startsWith('/.tinyroot/'), {
            timeout: START_MS,
        });
        this.at(this.page.url());
    }
}

async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    return port;
}

/** What a test failed of, without a stack: its words say where. */
class Failure extends Error {
    constructor(message) {
        super(message);
        this.name = 'Failure';
        this.stack = message;
    }
}

/** Does something in a browser, of which a person sees nothing broken. `enter` opens what it is done with, and returns that. */
async function inBrowser(name, apps, tinyroot, home, enter, steps) {
    assert.deepEqual(await lacking(apps), [], 'what this test needs');
    const { chromium } = await import('playwright-core');
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
    let page;
    let faults;
    let keep = false;
    try {
        const context = await browser.newContext();
        faults = new Faults();
        faults.watch(context);
        page = await context.newPage();
        await steps(page, await enter(page, faults));
        assert.deepEqual(faults.found, [], 'what a person would see broken');
    } catch (error) {
        keep = true;
        const shot = path.join(home, `${name}.png`);
        await page?.screenshot({ path: shot, fullPage: true }).catch(() => {});
        const log = tinyroot.printed.slice(-30).join('\n');
        const found = faults?.found.length ? `\nbesides: ${faults.found.join('\n         ')}` : '';
        const words = stripVTControlCharacters(error.message).replace(/\n( *- .*\n?)+/g, '\n');
        const line = error.stack.split('\n').find((line) => line.includes('.test.mjs')) ?? '';
        throw new Failure(`${words}\n${line}\nat ${page?.url()}${found}\nscreenshot: ${shot}\nlast lines of tinyroot:\n${log}`);
    } finally {
        await browser.close();
        await tinyroot.stop();
        if (!keep) rmSync(home, { recursive: true, force: true });
    }
}

function through(Kind, app, journey) {
    const home = mkdtempSync(path.join(tmpdir(), 'tinyroot-browser-'));
    const tinyroot = new Tinyroot(path.join(home, 'data'));
    const enter = async (page, faults) => {
        const site = new Kind(page, faults);
        await site.enter(tinyroot, app);
        return site;
    };
    return inBrowser(app, [app], tinyroot, home, enter, journey);
}

/** Tests an app by what a person does in it, through both fronts. `journey` is given the page, opened, and the site. */
export function journey(app, steps) {
    const options = { timeout: TEST_MS };
    test(`${app} through run`, options, () => through(RunSite, app, steps));
    test(`${app} through serve`, options, () => through(ServeSite, app, steps));
}

/**
 * Tests a page that a command prints, such as `inspect --format html`: one file, which asks nobody for anything. `steps` is given
 * the page, opened.
 */
export function printed(name, apps, args, steps) {
    test(`${name} through a file`, { timeout: TEST_MS }, () => {
        const home = mkdtempSync(path.join(tmpdir(), 'tinyroot-browser-'));
        const file = path.join(home, `${name}.html`);
        const enter = async (page) => {
            const { stdout } = await promisify(execFile)(program(), [...args, '--format', 'html'], { maxBuffer: 1 << 28 });
            writeFileSync(file, stdout);
            await page.goto(pathToFileURL(file).href);
        };
        return inBrowser(name, apps, new Tinyroot(home), home, enter, steps);
    });
}

/**
 * Records what `steps` does with the app of a recipe, whose exercise is a draft as `init` writes it. `then` is given the folder, the
 * text of its recipe.toml, what tinyroot printed, and a function that runs tinyroot.
 */
export function recorded(app, steps, then) {
    const home = mkdtempSync(path.join(tmpdir(), 'tinyroot-browser-'));
    const folder = path.join(home, app);
    const own = path.join(home, 'own');
    const recipe = path.join(folder, 'recipe.toml');
    mkdirSync(own);
    const tinyroot = new Tinyroot(path.join(home, 'data'));
    let isRecorded = false;
    test(`${app} through a recording`, { timeout: RECORD_MS }, async () => {
        cpSync(path.join(TOP, 'recipes', app), folder, { recursive: true });
        const text = readFileSync(recipe, 'utf8');
        const draft = text.replace(/^(#.*\n)*\[\[exercise\]\]\n[^]*?\n(?=\[(?!\[exercise))/m, '[[exercise]]\nget = "/"\n\n');
        writeFileSync(recipe, draft);
        const enter = async (page, faults) => {
            const site = new Site(page, faults);
            const args = ['trace', folder, '--record', '--record-passwords', '--no-browser', '--port', String(await freePort())];
            site.at(await tinyroot.start(args, RECORD_MS / 2));
            await page.goto(`${site.origin}/`);
            return site;
        };
        await inBrowser(app, [], tinyroot, own, enter, steps);
        assert.equal((await tinyroot.ended)[0], 0, tinyroot.printed.join('\n'));
        isRecorded = true;
    });
    test(`${app} through its recorded exercise`, { timeout: RECORD_MS }, async () => {
        assert.ok(isRecorded, 'it was not recorded');
        const run = (...args) => promisify(execFile)(program(), args, { maxBuffer: 1 << 28 });
        await then(folder, readFileSync(recipe, 'utf8'), tinyroot.printed.join('\n'), run);
        rmSync(home, { recursive: true, force: true });
    });
}

/** Fails if axe finds anything in the page that keeps people out: WCAG 2.2, A and AA. */
export async function isAccessible(page) {
    const { default: axe } = await import('axe-core');
    // Past the page's own policy, which lets no other script run.
    const found = await page.evaluate(`(() => { ${axe.source}; return axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }); })()`);
    const words = found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
    assert.deepEqual(words, [], 'what axe finds');
}

/** A picture of 32 by 32 points, of one colour. */
export const PICTURE = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mM4UaFBU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMWDBULAIvioExdDtm1AAAAAElFTkSuQmCC',
    'base64',
);
