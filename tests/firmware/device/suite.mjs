// The official clients against the device as firmware, and what they would not do to it: side by side, each on a board
// of its own.

import assert from 'node:assert/strict';
import { behaviour } from '../behaviour.mjs';
import { load2, v1 } from '../clients.mjs';
import { deviceResume } from '../device_resume.mjs';
import { finish, skip, test } from '../tap.mjs';
import { compare } from './compare.mjs';
import { endings, firmware } from './firmware.mjs';
import { limits, loris, slowLoris } from './limits.mjs';

const v2 = Number(process.versions.node.split('.')[0]) < 20 ? undefined : await load2();

async function official(generation) {
    const board = await firmware.start();
    const { title, unknown } = firmware;
    await behaviour(generation, { title, unknown, kind: firmware, url: board.url, names: ['firmware'] });
    await board.stop();
    await deviceResume(generation, firmware);
}

async function hostile() {
    const slow = slowLoris();
    slow.catch(() => {}); // its test tells
    await compare();
    await limits();
    await loris(slow);
}

await Promise.all([hostile(), official(v1), v2 && official(v2.legacy)]);
if (!v2) skip('firmware and the 2.x client', 'node 20 or newer');
await test('every board stopped when told to, its memory sound', () => {
    for (const board of endings) assert.equal(board.how, 0, board.output);
    assert.ok(endings.length > 0);
});
process.exit(finish());
