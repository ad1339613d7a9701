// The official clients against the servers alone, as a control, and then through the gateway.

import { kinds, startBehind, startReplicas } from './backends.mjs';
import { behaviour } from './behaviour.mjs';
import { load2, v1 } from './clients.mjs';
import { deviceResume } from './device_resume.mjs';
import { eras } from './eras.mjs';
import { Redis } from './processes.mjs';
import { recovery } from './recovery.mjs';
import { replicas } from './replicas.mjs';
import { resume } from './resume.mjs';
import { finish, skip } from './tap.mjs';

const v2 = Number(process.versions.node.split('.')[0]) < 20 ? undefined : await load2();
const versions = v2 ? [v1, v2.legacy] : [v1];
const behaviours = v2 ? [...versions, v2.auto] : versions;

async function startAlone(kind) {
    const server = await kind.start('a');
    const { url } = server;
    return { title: `${kind.title} alone`, url, kind, unknown: kind.unknown, names: ['a'], stop: () => server.stop() };
}

for (const kind of Object.values(kinds)) {
    for (const begin of Redis.there ? [startAlone, startBehind, startReplicas] : [startAlone, startBehind]) {
        const target = await begin(kind);
        for (const generation of behaviours) await behaviour(generation, target);
        await target.stop();
    }
    for (const generation of versions) await recovery(generation, kind);
    for (const generation of Redis.there ? versions : []) await replicas(generation, kind);
}
for (const generation of versions) await deviceResume(generation, kinds.device);
const cuts = process.argv.includes('--all') ? 200 : 20;
for (const generation of Redis.there ? versions : []) await resume(generation, kinds.everything, cuts);
if (!Redis.there) skip('two gateways on one Redis', 'redis-server');
if (v2) await eras(v1, v2);
else skip('the 2.x client and revision 2026-07-28', 'node 20 or newer');
process.exit(finish());
