import assert from 'node:assert/strict';
import { journey, PICTURE } from './support.mjs';

journey('rclone', async (page, site) => {
    await page.getByText('README.txt').waitFor();
    page.once('dialog', (dialog) => dialog.accept('tea'));
    await page.getByRole('button', { name: 'New folder' }).click();
    await page.getByRole('link', { name: /^tea/ }).click();
    await page.waitForURL((url) => url.pathname === '/tea/');
    await page.locator('input[type=file]').first().setInputFiles({ name: 'kettle.png', mimeType: 'image/png', buffer: PICTURE });
    await page.getByRole('link', { name: 'kettle.png' }).waitFor();
    await page.reload();
    const [download] = await Promise.all([
        page.evaluate(async () => Array.from(new Uint8Array(await (await fetch('kettle.png')).arrayBuffer()))),
    ]);
    assert.deepEqual(Buffer.from(download), PICTURE);

    await site.restart();
    await site.open('/tea/');
    await page.getByRole('link', { name: 'kettle.png' }).waitFor();
});
