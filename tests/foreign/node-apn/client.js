// @parse/node-apn 8.1.0, unpatched, driven by tests/foreign_peers: one JSON object a line in, one a line out.
//
//   in   {"port":number,"ca":PEM,"key":PEM,"key_id":text,"team_id":text,"topic":text}     first, once
//        {"push":{"token":text,"alert":text,"id":UUID?,"ttl":seconds?,"priority":number?,"collapse_id":text?}}
//   out  {"event":"answer","token":text,"id":UUID,"status":number,"reason":text?,"timestamp":ms?}
//        {"event":"trouble","message":text}                node-apn gave up without an answer
//
// Pushes are not waited for: those that come together are under way together. Ends with its standard input.
'use strict';
const readline = require('node:readline');
const apn = require('@parse/node-apn');

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const trouble = (error) => say({ event: 'trouble', message: String(error?.message ?? error) });

let options;
let provider;

const notification = ({ alert, id, ttl, priority, collapse_id: collapseId }) => {
  const made = new apn.Notification({ alert, topic: options.topic, pushType: 'alert' });
  if (id) made.id = id;
  if (ttl) made.expiry = Math.floor(Date.now() / 1000) + ttl;
  if (priority) made.priority = priority;
  if (collapseId) made.collapseId = collapseId;
  return made;
};

const push = async (asked) => {
  provider ??= new apn.Provider({
    token: { key: options.key, keyId: options.key_id, teamId: options.team_id },
    address: '127.0.0.1',
    port: options.port,
    ca: options.ca,
  });
  const { sent, failed } = await provider.send(notification(asked), asked.token);
  for (const { device, 'apns-id': id } of sent) {
    say({ event: 'answer', token: device, id, status: 200 });
  }
  for (const { device, 'apns-id': id, status, response, error } of failed) {
    if (response) say({ event: 'answer', token: device, id, status, ...response });
    else trouble(error ?? `status ${status}`);
  }
};

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const asked = JSON.parse(line);
    if (!options) options = asked;
    else push(asked.push).catch(trouble);
  })
  .on('close', () => process.exit(0));
