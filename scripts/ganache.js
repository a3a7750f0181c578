// A local chain for tests and rehearsals, held by scripts/local_chain.py.
//
// Listens on a free port of 127.0.0.1, prints one JSON line {"port", "url", "chainId"} when it is ready, and then
// nothing more. It lives as long as its standard input is open: when the holder goes away, even by `kill -9`, the
// chain goes too. A line "guard <process group>" on standard input asks it to kill that group in such a case;
// "unguard <process group>" takes it back. One argument: options as JSON, merged over the defaults below.
"use strict";

const path = require("path");

const ganache = require(path.join(__dirname, "..", "node_modules", "ganache"));

const CHAIN_ID = 1337;

const DEFAULTS = {
  // Shanghai is the newest fork that Ganache knows. Errors come in the response, as Brownie expects them.
  chain: { hardfork: "shanghai", chainId: CHAIN_ID, networkId: CHAIN_ID, vmErrorsOnRPCResponse: true },
  wallet: {
    // The mnemonic that every Ethereum tool uses for play money. Never send anything of value to its accounts.
    mnemonic: "test test test test test test test test test test test junk",
    totalAccounts: 20,
    defaultBalance: 1000000,
  },
  miner: { blockGasLimit: 30000000, instamine: "eager" },
  logging: { quiet: true },
};

function mergedOptions(given) {
  const options = {};
  for (const section of new Set([...Object.keys(DEFAULTS), ...Object.keys(given)])) {
    options[section] = { ...DEFAULTS[section], ...given[section] };
  }
  return options;
}

const guarded = new Set();

function holderSays(line) {
  const [word, group] = line.trim().split(" ");
  if (word === "guard") guarded.add(Number(group));
  if (word === "unguard") guarded.delete(Number(group));
}

function holderIsGone() {
  for (const group of guarded) {
    try {
      process.kill(-group, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  process.exit(0);
}

async function main() {
  let pending = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk) => {
    const lines = (pending + chunk).split("\n");
    pending = lines.pop();
    lines.forEach(holderSays);
  });
  process.stdin.on("end", holderIsGone);
  process.stdin.on("error", holderIsGone);

  const options = mergedOptions(JSON.parse(process.argv[2] || "{}"));
  const server = ganache.server(options);
  await server.listen(0, "127.0.0.1");
  const { port } = server.address();
  const ready = { port, url: `http://127.0.0.1:${port}`, chainId: options.chain.chainId };
  process.stdout.write(JSON.stringify(ready) + "\n");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
