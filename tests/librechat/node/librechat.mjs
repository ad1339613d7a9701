// LibreChat's PrivateServersLoadStatusCache and its loader, played: the commands, their order and what is made of the
// answers, over the keyv and @keyv/redis that it has. "item N" is of the reference's checklist.

import KeyvRedis, { createClient } from '@keyv/redis';
import Keyv from 'keyv';
import KeyvNewer from 'keyv-newer';
import { sleep, within } from './tap.mjs';

const NAMESPACE = 'MCP::ServersRegistry::PrivateServersLoadStatus';
const LOADED = 'USER_PRIVATE_SERVERS_LOADED';
const LOCK = 'USER_PRIVATE_SERVERS_LOAD_LOCK';

export async function connected(socket) {
    const redis = createClient({ socket: { path: socket, tls: false } });
    redis.on('error', () => {});
    await within(5000, redis.connect(), 'connecting to redis-server');
    return redis;
}

export class LibreChat {
    loads = 0;

    // prefix: REDIS_KEY_PREFIX; newer: the latest keyv of that major version
    constructor(redis, { prefix = '', newer = false } = {}) {
        const store = new KeyvRedis(redis);
        this.redis = redis;
        this.cache = new (newer ? KeyvNewer : Keyv)(store, { namespace: NAMESPACE });
        store.namespace = prefix;
        store.keyPrefixSeparator = '::';
        this.store = store;
        this.head = (prefix && `${prefix}::`) + `${NAMESPACE}:`;
    }

    loadedKey = user => `${this.head}${LOADED}::${user}`;
    lockKey = user => `${this.head}${LOCK}::${user}`;

    async isLoaded(user) {
        return (await this.cache.get(`${LOADED}::${user}`)) === true;
    }

    async setLoaded(user, ttl = 3600000) {
        if (!(await this.cache.set(`${LOADED}::${user}`, true, ttl))) {
            throw new Error(`Failed to set loaded status for user ${user} in cache.`);
        }
    }

    // Through the client, not through keyv.
    async acquireLoadLock(user, ttl = 30000) {
        try {
            return (await this.redis.set(this.lockKey(user), Date.now().toString(), { NX: true, PX: ttl })) === 'OK';
        } catch {
            return false;
        }
    }

    // Of whoever has it.
    async releaseLoadLock(user) {
        await this.cache.delete(`${LOCK}::${user}`);
    }

    async clearLoaded(user) {
        await this.cache.delete(`${LOADED}::${user}`);
    }

    async waitForLoad(user, max = 5000, interval = 100) {
        const begun = Date.now();
        while (Date.now() - begun < max) {
            if (await this.isLoaded(user)) return true;
            await sleep(interval);
        }
        return false;
    }

    // items 11 to 14
    async load(user, loader, { wait = 5000, interval = 100, ttl = 3600000, lock = 30000 } = {}) {
        if (typeof user !== 'string' || user.trim() === '') throw new Error('no user');
        if (await this.isLoaded(user)) return 'loaded';
        if (!(await this.acquireLoadLock(user, lock))) {
            if (await this.waitForLoad(user, wait, interval)) return 'waited';
            const won = await this.acquireLoadLock(user, lock);
            if (!won) throw new Error(`Failed to acquire load lock for user ${user}`);
        }
        try {
            this.loads++;
            await loader();
            await this.setLoaded(user, ttl);
            return 'loads';
        } finally {
            await this.releaseLoadLock(user);
        }
    }
}
