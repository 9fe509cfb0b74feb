import { journey } from './support.mjs';

journey('gitweb', async (page, site) => {
    await page.getByRole('link', { name: 'example.git' }).first().click();
    await page.getByText('Say how to clone').first().waitFor();
    await page.getByRole('link', { name: 'tree', exact: true }).first().click();
    await page.getByRole('link', { name: 'README' }).first().click();
    await page.getByText('A repository to begin with.').waitFor();
    await page.getByRole('link', { name: 'history' }).first().click();
    await page.getByRole('table').getByRole('link', { name: 'Say how to clone' }).waitFor();
    await page.getByRole('table').getByRole('link', { name: 'commitdiff' }).first().click();
    await page.getByText('git clone URL').first().waitFor();
    await page.locator('input[name=s]').fill('clone');
    await page.locator('input[name=s]').press('Enter');
    await page.waitForURL((url) => url.search.includes('a=search'));
    await page.getByText('Say how to').first().waitFor();

    await site.restart();
    await page.getByText('A repository to begin with').waitFor();
});
