// A test here is one TAP line, bounded in time, that tidies up after itself.

let number = 0;
let failures = 0;

const comment = text => console.log(String(text).replace(/^/gm, '#   '));

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

// Fails instead of waiting for ever.
export async function within(ms, promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

// Asks until the answer is true, and returns it.
export async function until(ask, what, ms = 5000) {
    const deadline = Date.now() + ms;
    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        if (Date.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
        await sleep(20);
    }
}

function report(passed, name) {
    number++;
    if (!passed) failures++;
    console.log(`${passed ? 'ok' : 'not ok'} ${number} - ${name}`);
}

export function skip(name, what) {
    report(true, `${name} # SKIP install ${what}`);
}

// Runs body(t). t.after(f): f runs at the end, newest first. t.explain(f): f() is printed if the test fails.
export async function test(name, body, seconds = 15) {
    const cleanups = [];
    const explanations = [];
    const t = { after: f => cleanups.unshift(f), explain: f => explanations.push(f) };
    let failure;
    try {
        await within(seconds * 1000, body(t), 'the test');
    } catch (error) {
        failure = error;
    }
    report(failure === undefined, name);
    if (failure !== undefined) {
        comment(failure.stack);
        for (const explain of explanations) comment(explain());
    }
    for (const cleanup of cleanups) {
        await within(5000, cleanup(), 'tidying up').catch(error => console.log(`# after ${name}: ${error.message}`));
    }
    return failure === undefined;
}

export function finish() {
    console.log(`1..${number}`);
    return failures === 0 && number > 0 ? 0 : 1;
}
