// Calls that share an instance, and what one of them may do to the others.
exports.instanceConcurrency = 50;

const sleep = (ms) => new Promise((go) => setTimeout(go, ms));
let running = 0;
let met = () => {};

exports.handle = async ({ n, calls = 1, then }) => {
  console.log('call %d begins', n);
  running++;
  if (running === calls) met();
  const before = met;
  if (running < calls) await new Promise((go) => (met = () => (before(), go())));
  if (then === 'exit') process.exit(3);
  if (then === 'throw') setTimeout(() => { throw new TypeError('of no use'); }, 1);
  if (then === 'throw' || then === 'hang') await new Promise(() => {});
  const most = running;
  await sleep(200);
  running--;
  console.log('call %d ends', n);
  return { n, most };
};
