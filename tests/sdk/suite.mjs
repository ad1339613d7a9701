import { kinds } from './backends.mjs';
import { behaviour } from './behaviour.mjs';
import { load2, v1 } from './clients.mjs';
import { finish } from './tap.mjs';
const v2 = await load2();
for (const kind of Object.values(kinds)) {
    const server = await kind.start('a');
    const target = { title: `${kind.title} directly`, url: server.url, kind, unknown: kind.unknown, names: ['a'] };
    for (const generation of [v1, v2.legacy, v2.auto]) await behaviour(generation, target);
    await server.stop();
}
process.exit(finish());
