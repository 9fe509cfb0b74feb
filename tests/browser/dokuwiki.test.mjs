import assert from 'node:assert/strict';
import { journey, PICTURE } from './support.mjs';

/** Writes a page in the editor and saves it. */
async function write(page, site, id, text) {
    await site.open(`/doku.php?id=${id}&do=edit`);
    await page.locator('#wiki__text').fill(text);
    await page.locator('#edbtn__save').click();
    await page.waitForURL((url) => !url.search.includes('do=edit'));
}

journey('dokuwiki', async (page, site) => {
    // A browser requests it without cookies, by itself where it shows that an app can be installed.
    const devtools = await page.context().newCDPSession(page);
    const { url, errors } = await devtools.send('Page.getAppManifest');
    assert.match(url, /\/manifest\.php$/);
    assert.deepEqual(errors, []);

    await page.getByText('Log In').first().click();
    await page.locator('input[name=u]').fill('admin');
    await page.locator('input[name=p]').fill('tea-for-two');
    await page.locator('#dw__login button[type=submit]').click();
    await page.getByText('Logged in as').first().waitFor();

    await write(page, site, 'notes:first', '====== First notes ======\n\nA **small** page.');
    await page.getByRole('heading', { name: 'First notes' }).waitFor();
    await page.reload();
    assert.equal(await page.locator('#dokuwiki__content strong').innerText(), 'small');

    // What the package ships as a page is a page of the wiki.
    await write(page, site, 'playground:playground', '====== Sandbox ======\n\nA castle.');
    await page.getByText('A castle.').waitFor();

    await site.open('/doku.php?id=start&do=media&ns=');
    await page.getByRole('link', { name: 'Upload' }).click();
    await page.locator('input[type=file]').setInputFiles({ name: 'kettle.png', mimeType: 'image/png', buffer: PICTURE });
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.locator('.qq-upload-success, .upload-success').first().waitFor({ state: 'attached' });
    await write(page, site, 'notes:picture', '{{:kettle.png}}');
    const picture = page.locator('#dokuwiki__content img.media');
    await picture.waitFor();
    assert.equal(await picture.evaluate((image) => image.naturalWidth), 32);

    await page.locator('input[name=q]').fill('small');
    await page.locator('input[name=q]').press('Enter');
    await page.locator('.search_fullpage_result').getByRole('link', { name: 'first' }).first().waitFor();

    await site.restart();
    await site.open('/doku.php?id=notes:first');
    await page.getByRole('heading', { name: 'First notes' }).waitFor();
    await page.getByText('Log Out').first().click();
    await page.getByText('Log In').first().waitFor();
});
