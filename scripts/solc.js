// The npm compiler behind the native compiler's command line, as far as py-solc-x and Brownie use it.
//
//   node scripts/solc.js --version
//   node scripts/solc.js --standard-json [--allow-paths LIST] < input.json
//
// scripts/setup.py wraps it as `.cache/solc/solc-v<version>`. Imports are read from the project, the working folder
// and node_modules, and from nowhere else, so `--allow-paths` has nothing to add and is dropped.
"use strict";

const fs = require("fs");
const path = require("path");

const ROOT = fs.realpathSync(path.join(__dirname, ".."));
const NODE_MODULES = path.join(ROOT, "node_modules");

function isBelow(folder, file) {
  const relative = path.relative(folder, file);
  return relative !== "" && !relative.startsWith("..") && !path.isAbsolute(relative);
}

// The import callback: `name` is what the compiler asks for after remapping.
function readImport(name) {
  const readable = [ROOT, fs.realpathSync(process.cwd())];
  for (const base of [process.cwd(), ROOT, NODE_MODULES]) {
    let file;
    try {
      file = fs.realpathSync(path.resolve(base, name));
    } catch {
      continue; // No such file here.
    }
    if (readable.some((folder) => isBelow(folder, file))) return { contents: fs.readFileSync(file, "utf8") };
  }
  return { error: `File not found below the project or in node_modules: ${name}` };
}

function main(given) {
  const args = [];
  for (let i = 0; i < given.length; i++) {
    if (given[i] === "--allow-paths") i++;
    else if (!given[i].startsWith("--allow-paths=") && given[i] !== "-") args.push(given[i]);
  }

  if (args.length !== 1 || !["--version", "--standard-json"].includes(args[0])) {
    // The native compiler's words, which py-solc-x turns into an exception of its own.
    const odd = args.find((arg) => arg !== "--standard-json") || "";
    process.stderr.write(`unrecognised option '${odd}': only --version and --standard-json (from stdin) exist here\n`);
    return 1;
  }

  const solc = require(path.join(NODE_MODULES, "solc"));
  if (args[0] === "--version") {
    process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
    return 0;
  }
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: readImport }) + "\n");
  return 0;
}

// The exit code is set and not forced, so that a long output reaches the pipe whole.
process.exitCode = main(process.argv.slice(2));
