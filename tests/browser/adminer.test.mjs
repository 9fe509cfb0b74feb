import { journey } from './support.mjs';

async function signIn(page) {
    await page.locator('[name="auth[driver]"]').selectOption('sqlite').catch(() => {});
    await page.locator('[name="auth[username]"]').fill('owner');
    await page.locator('[name="auth[password]"]').fill('tea-for-two');
    await page.locator('[name="auth[db]"]').fill('/var/adminer/example.db');
    await page.getByRole('button', { name: 'Login' }).click();
    await page.getByRole('link', { name: 'things' }).first().waitFor();
}

journey('adminer', async (page, site) => {
    await signIn(page);
    await page.getByRole('link', { name: 'SQL command' }).first().click();
    // Its own editor hears keys alone.
    await page.locator('pre.sqlarea').click();
    await page.keyboard.type("CREATE TABLE teas (kind TEXT); INSERT INTO teas VALUES ('oolong');");
    await page.getByRole('button', { name: 'Execute' }).click();
    await page.getByText('Query executed OK').first().waitFor();
    await page.getByRole('link', { name: 'teas' }).first().waitFor();
    await site.open(`/?sqlite=&username=owner&db=${encodeURIComponent('/var/adminer/example.db')}&select=teas`);
    await page.getByText('oolong').first().waitFor();
    await page.reload();
    await page.getByText('oolong').first().waitFor();

    await site.restart();
    await signIn(page);
    await page.getByRole('link', { name: 'teas' }).first().waitFor();
});
