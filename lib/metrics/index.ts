/**
 * `tsloop/metrics`: the counters of every thread of this process, for those who collect such things. Loading it starts nothing;
 * whichever copy of tsloop is in force answers (see instance.ts).
 */

export { type Meter, opentelemetry } from './opentelemetry';
export { CONTENT_TYPE as contentType, type PromClient, prometheus, register } from './prometheus';
