/** The boot sequence, read top to bottom. Runs once per environment, whatever loaded it and however often. */

import { readConfig } from './boot/config';
import { mayRun } from './boot/guard';
import { report, reportProblems } from './boot/report';
import { setDebug } from './debug';
import { install } from './install';

const config = readConfig(process.env);
setDebug(config.debug);
const obstacle = mayRun(config);
if (obstacle !== null) {
  report(obstacle, config);
} else {
  reportProblems(config);
  install(config);
}
