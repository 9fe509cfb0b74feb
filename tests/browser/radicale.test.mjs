import { journey } from './support.mjs';

async function signIn(page) {
    await page.locator('#loginscene input[name=user], #loginscene [data-name=user]').fill('owner');
    await page.locator('#loginscene input[name=password], #loginscene [data-name=password]').fill('tea-for-two');
    await page.locator('#loginscene button[type=submit]').click();
    await page.locator('#collectionsscene').waitFor();
}

journey('radicale', async (page, site) => {
    await signIn(page);
    await page.locator('#collectionsscene [data-name=new]').first().click();
    const scene = page.locator('#createcollectionscene');
    await scene.locator('[data-name=displayname]').fill('Tea times');
    await scene.locator('[data-name=submit]').click();
    await page.getByText('Tea times').first().waitFor();

    await page.reload();
    await signIn(page);
    await page.getByText('Tea times').first().waitFor();

    await site.restart();
    await signIn(page);
    await page.getByText('Tea times').first().waitFor();
});
