/** scikit-learn's IsolationForest on given rows, where Debian's python3-sklearn is installed. */
import { execFileSync } from "node:child_process";

const PYTHON = "/usr/bin/python3";

const PROGRAM = `
import json, sys, time
import numpy as np
from sklearn.ensemble import IsolationForest
asked = json.load(sys.stdin)
train = np.array(asked["train"], dtype=np.float32)
test = np.array(asked["test"], dtype=np.float32)
forest = IsolationForest(n_estimators=asked["trees"], max_samples=min(asked["subsample"], len(train)), random_state=asked["seed"], n_jobs=1)
began = time.process_time()
forest.fit(train)
fitted = time.process_time()
scores = -forest.score_samples(test)
scored = time.process_time()
json.dump({"scores": [float(score) for score in scores], "fitMs": (fitted - began) * 1000, "scoreMs": (scored - fitted) * 1000}, sys.stdout)
`;

/** Its version, or why it cannot be asked. */
export function sklearnVersion(): { readonly version: string } | { readonly problem: string } {
  try {
    const text = execFileSync(PYTHON, ["-c", "import sklearn; print(sklearn.__version__)"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    return { version: text.toString().trim() };
  } catch {
    return { problem: "python3-sklearn is not installed (apt-get install python3-sklearn)" };
  }
}

export interface SklearnQuestion {
  readonly train: readonly (readonly number[])[];
  readonly test: readonly (readonly number[])[];
  readonly trees: number;
  readonly subsample: number;
  readonly seed: number;
}

export interface SklearnAnswer {
  /** Higher = more unusual. */
  readonly scores: readonly number[];
  /** Processor time. */
  readonly fitMs: number;
  readonly scoreMs: number;
}

export function sklearnScores(question: SklearnQuestion): SklearnAnswer {
  const output = execFileSync(PYTHON, ["-c", PROGRAM], {
    input: JSON.stringify(question),
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" },
  });
  return JSON.parse(output.toString()) as SklearnAnswer;
}
