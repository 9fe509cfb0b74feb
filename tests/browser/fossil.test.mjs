import { journey } from './support.mjs';

journey('fossil', async (page, site) => {
    await page.getByRole('link', { name: 'Login' }).first().click();
    await page.locator('input[name=u]').fill('admin');
    await page.locator('input[name=p]').fill('tea-for-two');
    await page.locator('input[name=in]').click();
    await page.getByText('admin').first().waitFor();

    await site.open('/tktnew');
    await page.locator('input[name=title]').fill('The kettle is cold');
    await page.locator('textarea[name=icomment]').fill('Since noon.');
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByText('The kettle is cold').first().waitFor();
    await page.reload();
    await page.getByText('Since noon.').first().waitFor();

    await site.restart();
    await site.open('/timeline?y=t');
    await page.getByText('The kettle is cold').first().waitFor();
});
