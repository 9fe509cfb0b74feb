// What cgit's recipes of two suites have in common.

import assert from 'node:assert/strict';
import { journey } from './support.mjs';

export function cgit(app) {
    journey(app, async (page, site) => {
        await page.getByRole('link', { name: 'example.git' }).first().click();
        await page.getByText('Say how to clone').first().waitFor();
        await page.getByRole('link', { name: 'log', exact: true }).click();
        await page.getByRole('link', { name: 'Say how to clone' }).click();
        await page.getByText('git clone URL').first().waitFor();
        await page.getByRole('link', { name: 'tree', exact: true }).first().click();
        await page.getByRole('link', { name: 'README' }).first().click();
        await page.getByText('A repository to begin with.').waitFor();
        const logo = page.locator('td.logo img');
        assert.ok((await logo.evaluate((image) => image.naturalWidth)) > 0);

        await site.open('/cgit/example.git/log/');
        await page.locator('input[name=q]').fill('clone');
        await page.getByRole('button', { name: 'search' }).click();
        await page.waitForURL((url) => url.search.includes('q=clone'));
        await page.getByRole('link', { name: 'Say how to clone' }).waitFor();

        await site.restart();
        await page.getByText('A repository to begin with').waitFor();
    });
}
