// The official clients against the servers directly, as a control, and then through the gateway.

import { kinds, startBehind } from './backends.mjs';
import { behaviour } from './behaviour.mjs';
import { load2, v1 } from './clients.mjs';
import { eras } from './eras.mjs';
import { recovery } from './recovery.mjs';
import { finish } from './tap.mjs';

const v2 = await load2();

async function startAlone(kind) {
    const server = await kind.start('a');
    const { url } = server;
    return { title: `${kind.title} alone`, url, kind, unknown: kind.unknown, names: ['a'], stop: () => server.stop() };
}

for (const kind of Object.values(kinds)) {
    for (const begin of [startAlone, startBehind]) {
        const target = await begin(kind);
        for (const generation of [v1, v2.legacy, v2.auto]) await behaviour(generation, target);
        await target.stop();
    }
    for (const generation of [v1, v2.legacy]) await recovery(generation, kind, `gateway to ${kind.title}`);
}
await eras(v1, v2);
process.exit(finish());
