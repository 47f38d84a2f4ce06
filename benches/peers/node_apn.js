// @parse/node-apn, unpatched, driven by crates/cli/benches/compare, which has the lines in and out.
//
// Pushes go in lists, as its interface has it, each of as many as may be under way.
'use strict';
const readline = require('node:readline');
const apn = require('@parse/node-apn');

const TOKENS = 1000;
const tokens = Array.from({ length: TOKENS }, (_, n) => n.toString(16).padStart(8, '0').repeat(8));
const say = (line) => process.stdout.write(`${line}\n`);

let options;
let provider;

const send = async (pushes) => {
  const times = new Float64Array(pushes);
  let accepted = 0;
  let timed = 0;
  for (let at = 0; at < pushes; at += options.in_flight) {
    const count = Math.min(options.in_flight, pushes - at);
    const notification = new apn.Notification({ alert: options.alert, topic: options.topic, pushType: 'alert' });
    const asked = performance.now();
    const { sent, failed } = await provider.send(notification, tokens.slice(0, count));
    accepted += sent.length;
    // What a list takes is what each of it has waited.
    times.fill((performance.now() - asked) * 1000, timed, timed + count);
    timed += count;
    if (failed.length > 0) throw failed[0].error ?? new Error(JSON.stringify(failed[0]));
  }
  times.sort();
  const part = (of) => times[Math.min(pushes - 1, Math.floor((pushes * of) / 100))];
  return { accepted, p50_us: part(50), p99_us: part(99) };
};

const begin = async (line) => {
  options = JSON.parse(line);
  provider = new apn.Provider({
    token: { key: options.key, keyId: options.key_id, teamId: options.team_id },
    address: '127.0.0.1',
    port: options.port,
    ca: options.ca,
  });
  await send(1);
  say('ready');
};

const main = async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (options) say(JSON.stringify(await send(JSON.parse(line))));
    else await begin(line);
  }
};

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
