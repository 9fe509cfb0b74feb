// The pages that `inspect` and `diff` write, as a person reads them.

import assert from 'node:assert/strict';
import { isAccessible, packageOf, printed } from './support.mjs';

/** Looks at a page as it is now: in both schemes, and as wide as a phone. */
async function looks(page) {
    for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        for (const [width, height] of [[390, 844], [1280, 900]]) {
            await page.setViewportSize({ width, height });
            const wide = await page.evaluate(() => document.documentElement.scrollWidth);
            assert.ok(wide <= width, `${wide} points wide in a window of ${width}`);
        }
        await isAccessible(page);
    }
}

const tiles = (page) => page.locator('#maps g[role=button]');
const name = async (tile) => (await tile.locator('title').textContent()).split('\n')[0];

printed('inspect', ['cgit'], ['inspect', packageOf('cgit')], async (page) => {
    await looks(page);

    // Into a package and back, with the mouse and with the keyboard.
    const first = tiles(page).first();
    const owner = await name(first);
    const all = await tiles(page).count();
    await first.click();
    await page.locator('#trail').getByRole('button', { name: owner, exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await page.waitForFunction((count) => document.querySelectorAll('#maps g[role=button]').length === count, all);
    await tiles(page).first().focus();
    await page.keyboard.press('ArrowRight');
    const second = await name(tiles(page).nth(1));
    assert.equal(await name(page.locator('g:focus')), second);
    await page.locator('#maps').getByRole('button', { name: new RegExp(`^${second} .*, opens$`) }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('#trail').getByRole('button', { name: second, exact: true }).waitFor();
    await page.keyboard.press('Escape');

    // Why a file is there, and a link to that.
    const search = page.getByRole('searchbox', { name: 'Find paths and packages' });
    await search.fill('cgit.cgi');
    await page.locator('#paths').getByRole('link', { name: /cgit\.cgi$/ }).click();
    const detail = page.getByRole('region', { name: 'Why it is there' });
    await detail.getByText('Kept by').waitFor();
    const said = await detail.innerText();
    await looks(page);
    await page.reload();
    assert.equal(await detail.innerText(), said);
    await page.getByText('The largest things that could go').waitFor();
});

printed('diff', ['cgit', 'dokuwiki'], ['diff', packageOf('cgit'), packageOf('dokuwiki')], async (page) => {
    await looks(page);
    await page.getByRole('radio', { name: 'both sides' }).check();
    await page.locator('#maps figure').nth(1).waitFor();
    await looks(page);
    await page.getByRole('radio', { name: 'difference' }).check();
    await page.getByRole('radio', { name: 'less', exact: true }).check();
    const shrunk = page.locator('#paths tbody tr');
    await shrunk.first().waitFor();
    assert.ok(await page.locator('#maps g.down').count());
    assert.equal(await page.locator('#maps g.up').count(), 0);
    await page.getByRole('radio', { name: 'more or less' }).check();

    // Sorted by what a column's button says, and told to those who do not see it.
    const header = page.locator('#paths').getByRole('columnheader', { name: /^Name/ });
    await header.getByRole('button').click();
    assert.equal(await header.getAttribute('aria-sort'), 'ascending');
    const paths = await page.locator('#paths tbody td.path > a').allInnerTexts();
    assert.deepEqual(paths, [...paths].sort());
    await page.getByRole('searchbox', { name: 'Find paths and packages' }).fill('php');
    await page.waitForFunction(() => /^\d+ changed of \d+ files$/.test(document.getElementById('count').textContent));
    assert.notEqual(await page.locator('#paths tbody tr').count(), 0);
});
