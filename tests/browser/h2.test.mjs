import assert from 'node:assert/strict';
import { journey } from './support.mjs';

async function signIn(page) {
    await page.locator('input[name=user]').fill('sa');
    await page.locator('input[name=password]').fill('tea-for-two');
    await page.locator('input[value=Connect]').click();
    await page.frameLocator('frame[name=h2query]').locator('textarea#sql[rows]').waitFor();
}

/** Runs a statement and returns the page of its results. */
async function run(page, sql) {
    const query = page.frameLocator('frame[name=h2query]');
    await query.locator('textarea#sql[rows]').fill(sql);
    await query.locator('input[value=Run]').click();
    return page.frameLocator('frame[name=h2result]');
}

journey('h2', async (page, site) => {
    await page.waitForURL((url) => url.pathname.startsWith('/login'));
    // Who connects first chooses the password.
    await signIn(page);
    let result = await run(page, "CREATE TABLE cup(id INT PRIMARY KEY, name VARCHAR); INSERT INTO cup VALUES (1, 'Earl Grey')");
    await result.getByText('Update count: 1').waitFor();
    result = await run(page, 'SELECT name FROM cup');
    await result.getByText('Earl Grey').first().waitFor();
    await page.frameLocator('frame[name=h2menu]').getByText('CUP').first().waitFor();

    await site.restart();
    await page.waitForURL((url) => url.pathname.startsWith('/login'));
    assert.equal(await page.locator('input[name=user]').inputValue(), 'sa');
    await signIn(page);
    result = await run(page, 'SELECT COUNT(*) AS cups, MAX(name) FROM cup');
    await result.getByText('Earl Grey').first().waitFor();
});
