// What a person does in DokuWiki and, over a WebSocket, in Jupyter becomes their exercise: `tinyroot trace --record`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { PICTURE, recorded } from './support.mjs';

recorded(
    'dokuwiki',
    async (page, site) => {
        await page.getByText('Log In').first().click();
        await page.locator('input[name=u]').fill('admin');
        await page.locator('input[name=p]').fill('tea-for-two');
        await page.locator('#dw__login button[type=submit]').click();
        await page.getByText('Logged in as').first().waitFor();

        await site.open('/doku.php?id=notes:first&do=edit');
        await page.locator('#wiki__text').fill('====== First notes ======\n\nA **small** kettle of tin.');
        await page.locator('#edbtn__save').click();
        await page.getByRole('heading', { name: 'First notes' }).waitFor();

        await site.open('/doku.php?id=start&do=media&ns=');
        await page.getByRole('link', { name: 'Upload' }).click();
        await page.locator('input[type=file]').setInputFiles({ name: 'kettle.png', mimeType: 'image/png', buffer: PICTURE });
        await page.getByRole('button', { name: 'Upload' }).click();
        await page.locator('.qq-upload-success, .upload-success').first().waitFor({ state: 'attached' });
        await site.open('/doku.php?id=notes:first');
        await page.getByRole('heading', { name: 'First notes' }).waitFor();
    },
    async (folder, recipe, said, run) => {
        assert.match(said, /they hold on two new grains/);
        assert.match(said, /what was written is read again after a restart/);
        assert.match(recipe, /^restart = true\n\[\[exercise\]\]\nget = "\/doku\.php\?id=notes:first"$/m);
        assert.doesNotMatch(recipe, /TODO: on a new grain/);
        assert.match(recipe, /^form = \{.* u = "admin", p = "tea-for-two" \}$/m);
        // Written with the token of the form, and read back.
        assert.match(recipe, /^capture\.sectok = 'name="sectok" value="\(\[\^"\]\*\)"'$/m);
        assert.match(readFileSync(path.join(folder, 'files/recorded-1.form'), 'utf8'), /^&?sectok=\{sectok\}$/m);
        assert.match(recipe, /^contains = \["notes:first \[Grain Wiki\]", "kettle of tin", /m);
        // Uploaded, as the page's script does it.
        assert.match(recipe, /^post = "\/lib\/exe\/ajax\.php\?.*sectok=\{sectok\}/m);
        assert.match(recipe, /^body = \{ source = "files\/recorded-\d+\.body"/m);
        assert.doesNotMatch(recipe, /css\.php|js\.php|taskrunner/);
        await run('trace', folder);
        const key = path.join(folder, '..', 'key');
        await run('key', 'generate', '--key-file', key);
        await run('build', folder, '--fast', '--key-file', key, '--output', path.join(folder, '..', 'dokuwiki.spk'));
    },
);

recorded(
    'jupyter',
    async (page, site) => {
        // Widgets are another package.
        site.expect(404, '/nbextensions/widgets/notebook/js/extension.js');
        await page.locator('#new-buttons button').first().click();
        const opened = page.context().waitForEvent('page');
        await page.locator('#new-menu').getByText('Python 3').click();
        const notebook = await opened;
        await notebook.locator('.kernel_idle_icon').waitFor();
        await notebook.locator('.CodeMirror').first().click();
        await notebook.keyboard.insertText('import json; print(6 * 7, json.dumps([None]))');
        await notebook.keyboard.press('Shift+Enter');
        await notebook.getByText('42 [null]').waitFor();
        await notebook.keyboard.press('Control+s');
        await notebook.getByText('Checkpoint created').waitFor();
    },
    async (folder, recipe, said) => {
        assert.match(said, /they hold on two new grains/);
        assert.doesNotMatch(recipe, /TODO/);
        assert.match(recipe, /^websocket = "\/api\/kernels\/\{\w+\}\/channels\?session_id=/m);
        // What was run, and what came of it.
        assert.match(recipe, /^ {4}\{ send = '.*"msg_type":"execute_request".*"code":"import json; print\(6 \* 7, /m);
        assert.match(recipe, /^ {4}\{ expect = \{ regex = '"text": "42 \\\[null\\\]\\\\n"' \}.* \},$/m);
    },
);
