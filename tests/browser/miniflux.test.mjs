import { journey } from './support.mjs';

journey('miniflux', async (page, site) => {
    await page.locator('input[name=username]').fill('owner');
    await page.locator('input[name=password]').fill('tea-for-two');
    await page.locator('button[type=submit]').first().click();
    await page.waitForURL((url) => url.pathname === '/unread');

    await site.open('/subscribe');
    await page.locator('input[name=url]').fill('http://127.0.0.1:8001/tea.xml');
    await page.locator('form button[type=submit]').last().click();
    await page.waitForURL((url) => /^\/feed\/\d+/.test(url.pathname));
    await page.getByRole('link', { name: 'The kettle sings' }).first().click();
    await page.getByText('steam').first().waitFor();
    await page.reload();
    await page.getByText('steam').first().waitFor();

    await site.open('/search?q=kettle');
    await page.getByRole('link', { name: 'The kettle sings' }).first().waitFor();

    await site.restart();
    await site.open('/feeds');
    await page.getByText('News of tea').first().waitFor();
});
