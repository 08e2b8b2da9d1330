// All random properties of a file with the seed of the one that failed: see tries.mjs.
import fc from "fast-check";

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.WARDLINE_TEST_SEED) });
