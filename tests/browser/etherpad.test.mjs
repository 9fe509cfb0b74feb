import assert from 'node:assert/strict';
import { journey } from './support.mjs';

/** The text of a pad, once its editor is there. */
async function editor(page) {
    const body = page.frameLocator('iframe[name=ace_outer]').frameLocator('iframe[name=ace_inner]').locator('body#innerdocbody');
    await body.filter({ hasText: 'Tea at six.' }).waitFor();
    return body;
}

journey('etherpad', async (page, site) => {
    await page.locator('#padname').fill('tea');
    await page.locator('#go2Name button[type=submit]').click();
    const one = await editor(page);
    assert.ok(!(await one.innerText()).includes('Warning'), 'no warning is written into a new pad');

    // Two windows, one text. Etherpad takes two of one browser for the same person.
    const second = await site.another();
    await second.goto(page.url());
    const two = await editor(second);
    await one.click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('Written in the first window.');
    await two.getByText('Written in the first window.').waitFor();
    await two.click();
    await second.keyboard.press('Control+End');
    await second.keyboard.type(' And in the second.');
    await one.getByText('And in the second.').waitFor();

    // A long text at once, as one pastes it, and not a moment between its arrival in the other window and the stop.
    await one.click();
    await page.keyboard.press('Control+End');
    await page.keyboard.insertText('A kettle and a cup. '.repeat(1000) + 'The end of it.');
    await two.getByText('The end of it.').waitFor();
    await second.close();
    await site.restart();
    await site.open('/p/tea');
    const again = await editor(page);
    await again.getByText('Written in the first window.').waitFor();
    await again.getByText('And in the second.').waitFor();
    await again.getByText('The end of it.').waitFor();
});
