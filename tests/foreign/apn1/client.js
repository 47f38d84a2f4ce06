// apn 1.7.8, unpatched, driven by tests/foreign_peers: one JSON object a line in, one a line out.
//
//   in   {"gateway":port,"feedback":port,"ca":PEM,"cert":PEM,"key":PEM}     first, once
//        {"push":{"token":hex,"alert":text}}
//        {"read":"feedback"}
//   out  {"event":"transmitted","token":hex}               handed to the socket
//        {"event":"error","status":number,"token":hex}     the gateway refused it, or apn gave up
//        {"event":"feedback","tuples":[[seconds,hex],…]}   the service closed
//        {"event":"trouble","message":text}
//
// Ends with its standard input.
'use strict';
const readline = require('node:readline');
const apn = require('apn');

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const trouble = (error) => say({ event: 'trouble', message: String(error?.message ?? error) });

let options;
let connection;

const identity = () => ({
  address: '127.0.0.1',
  ca: [options.ca],
  cert: options.cert,
  key: options.key,
});

const gateway = () => {
  const made = new apn.Connection({ ...identity(), port: options.gateway });
  made.on('transmitted', (_, device) => say({ event: 'transmitted', token: device.toString() }));
  made.on('transmissionError', (status, _, device) =>
    say({ event: 'error', status, token: device ? device.toString() : null }));
  made.on('socketError', trouble);
  made.on('error', trouble);
  return made;
};

const push = ({ token, alert }) => {
  connection ??= gateway();
  const notification = new apn.Notification();
  notification.alert = alert;
  notification.expiry = 1_700_000_000;
  connection.pushNotification(notification, token);
};

const feedback = () => {
  const made = new apn.Feedback({ ...identity(), port: options.feedback, interval: 0 });
  made.on('feedback', (tuples) =>
    say({
      event: 'feedback',
      tuples: tuples.map(({ time, device }) => [time, device.toString()]),
    }));
  made.on('feedbackError', trouble);
  made.on('error', trouble);
};

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const asked = JSON.parse(line);
    if (!options) options = asked;
    else if (asked.push) push(asked.push);
    else feedback();
  })
  .on('close', () => process.exit(0));
