// Runs the tests of all apps and pages, or of those that are named: `node run.mjs cgit wordpress pages`.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { lacking } from './support.mjs';

/** What is tested beside apps, and whose packages that takes. */
const OTHERS = { pages: ['cgit', 'dokuwiki'], record: [] };
/** Tests of each file, where it has not two. */
const TESTS = { record: 4 };

const all = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.mjs')).map((name) => name.slice(0, -9)).sort();
const apps = process.argv.length > 2 ? process.argv.slice(2) : all;
const unknown = apps.filter((app) => !all.includes(app));
const lacks = unknown.length ? [`no tests of ${unknown.join(', ')}: there are ${all.join(', ')}`] : await lacking(apps.flatMap((app) => OTHERS[app] ?? [app]));
if (lacks.length) {
    console.error(lacks.join('\n'));
    process.exit(1);
}

const counts = { passed: 0, failed: [] };
const expected = apps.reduce((sum, app) => sum + (TESTS[app] ?? 2), 0);
const files = apps.map((app) => path.join(import.meta.dirname, `${app}.test.mjs`));
const tests = run({ files, concurrency: 1 });
const isTest = (event) => event.name.includes(' through ');
tests.on('test:pass', (event) => isTest(event) && (counts.passed += 1));
tests.on('test:fail', (event) => counts.failed.push(event.name));
tests.compose(new spec()).pipe(process.stdout, { end: false });
tests.on('end', () => {
    // Behind the reporter's own last words.
    setTimeout(() => {
        const failed = counts.failed.length ? `, ${counts.failed.length} failed: ${counts.failed.join(', ')}` : ', none failed';
        console.log(`browser tests: ${counts.passed} passed${failed}`);
        process.exitCode = counts.failed.length || counts.passed !== expected ? 1 : 0;
    }, 100);
});
