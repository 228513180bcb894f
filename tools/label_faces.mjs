// Labels faces with the nets of @vladmandic/face-api: node label_faces.mjs PACKAGES < pixels > labels
//
// PACKAGES is the folder in which `npm install @vladmandic/face-api@1.7.15 @tensorflow/tfjs@4 @tensorflow/tfjs-backend-wasm@4`
// was run. stdin: 256×256 RGB pictures, 8 bits, one after another. stdout: one line of JSON per picture, `null` where no
// face was found.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const SIDE = 256;
const EXPRESSIONS = ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"];
const NETS = ["ssdMobilenetv1", "faceLandmark68Net", "faceExpressionNet", "ageGenderNet", "faceRecognitionNet"];

const require = createRequire(path.resolve(process.argv[2], "package.json"));
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
wasm.setWasmPaths(path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm")) + path.sep);
wasm.setThreadsCount(1);
const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");
await tf.setBackend("wasm");
await tf.ready();
const models = path.resolve(process.argv[2], "node_modules/@vladmandic/face-api/model");
for (const net of NETS) await faceapi.nets[net].loadFromDisk(models);
const options = new faceapi.SsdMobilenetv1Options({ minConfidence: 0.5 });

const pixels = readFileSync(0);
const size = SIDE * SIDE * 3;
for (let start = 0; start + size <= pixels.length; start += size) {
  const picture = tf.tensor3d(pixels.subarray(start, start + size), [SIDE, SIDE, 3], "int32");
  const face = await faceapi
    .detectSingleFace(picture, options)
    .withFaceLandmarks()
    .withFaceExpressions()
    .withAgeAndGender()
    .withFaceDescriptor();
  picture.dispose();
  const labels = face && {
    age: face.age,
    male: face.gender === "male" ? face.genderProbability : 1 - face.genderProbability,
    expressions: EXPRESSIONS.map((name) => face.expressions[name]),
    landmarks: face.landmarks.positions.map((point) => [point.x, point.y]),
    descriptor: Array.from(face.descriptor),
    detection: face.detection.score,
  };
  console.log(JSON.stringify(labels ?? null));
}
