/**
 * The modules that a start does not need are read while the program starts and compiled when they are asked for: by then
 * the file system may be a mock and `require` somebody else's. Where the modules are joined scripts/bundle.mjs puts the
 * reading in this place; in files of their own there is nothing to keep.
 */
export function keepRest(): void {}
