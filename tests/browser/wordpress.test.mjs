import assert from 'node:assert/strict';
import { journey, PICTURE } from './support.mjs';

// Long enough that WordPress does not ask whether it is meant.
const PASSWORD = 'two-kettles-and-seventeen-cups';

async function signIn(page) {
    // A moment after it was loaded the page puts the cursor there.
    await page.locator('#user_login:focus').waitFor();
    await page.locator('#user_login').fill('admin');
    await page.locator('#user_pass').fill(PASSWORD);
    await page.locator('#wp-submit').click();
    await page.getByRole('heading', { name: 'Dashboard' }).waitFor();
}

journey('wordpress', async (page, site) => {
    await page.locator('#weblog_title').fill('Tea Times');
    await page.locator('#user_login').fill('admin');
    await page.locator('#pass1').fill(PASSWORD);
    await page.locator('#admin_email').fill('admin@localhost.localdomain');
    await page.locator('#submit').click();
    await page.getByRole('heading', { name: 'Success!' }).waitFor();
    await page.getByRole('link', { name: 'Log In' }).click();
    await signIn(page);

    // A post in the block editor, with a picture in it.
    await site.open('/wp-admin/post-new.php');
    const title = page.locator('.editor-post-title__input, h1[aria-label="Add title"]').first();
    await title.fill('A first entry');
    await title.press('Enter');
    await page.keyboard.type('There was a kettle on the stove.');
    await page.keyboard.press('Enter');
    await page.keyboard.type('/image');
    await page.getByRole('option', { name: 'Image', exact: true }).click();
    await page.locator('.block-editor-media-placeholder input[type=file]')
        .setInputFiles({ name: 'kettle.png', mimeType: 'image/png', buffer: PICTURE });
    await page.locator('.wp-block-image img[src^="http://"]').waitFor();
    await page.getByRole('button', { name: 'Publish', exact: true }).first().click();
    await page.locator('.editor-post-publish-panel').getByRole('button', { name: 'Publish', exact: true }).click();
    await page.locator('.post-publish-panel__postpublish').waitFor();
    await page.locator('.post-publish-panel__postpublish').getByRole('link', { name: 'View Post' }).first().click();

    // As a reader who is not signed in sees it.
    await page.waitForURL((url) => !url.pathname.startsWith('/wp-admin/'));
    const entry = page.url();
    assert.match(new URL(entry).pathname, /^\/\d{4}\/\d\d\/\d\d\/a-first-entry\/$/);
    await page.context().clearCookies({ name: /^wordpress/ });
    await page.goto(entry);
    await page.getByRole('heading', { name: 'A first entry' }).waitFor();
    await page.getByText('There was a kettle on the stove.').waitFor();
    const picture = page.locator('.wp-block-image img');
    assert.equal(await picture.evaluate((image) => image.naturalWidth), 32);

    await page.locator('#comment').fill('It sings.');
    await page.locator('#author').fill('A reader');
    await page.locator('#email').fill('reader@localhost.localdomain');
    await page.locator('#submit').click();
    await page.getByText('It sings.').first().waitFor();

    await site.restart();
    await page.getByRole('link', { name: 'A first entry' }).first().click();
    await page.getByText('There was a kettle on the stove.').waitFor();
    await site.open('/wp-login.php');
    await signIn(page);
    for (const path of ['edit.php', 'upload.php', 'users.php', 'themes.php', 'options-general.php', 'site-editor.php']) {
        await site.open(`/wp-admin/${path}`);
        await page.waitForLoadState('networkidle');
    }
});
