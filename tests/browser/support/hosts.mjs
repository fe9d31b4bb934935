// Real programs to look at: the demo, and monitors with settings of their own. Each in a folder that goes with it.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const TARGET = process.env.CARGO_TARGET_DIR ?? new URL("../../../target", import.meta.url).pathname;
const PROGRAM = join(TARGET, "debug", "llm-monitor");
const GATEWAY = join(TARGET, "debug", "examples", "gateway");
/** The stand-in also looks whether the functions are built. */
const START_MS = 120_000;

/** @returns {Promise<{url: string, folder: string, stop: () => Promise<void>}>} */
export function startDemo() {
  return start(PROGRAM, ["demo", "--interval", "1", "--listen", "127.0.0.1:0"], {}, {});
}

/** The Lambda functions over an S3 store, behind a stand-in for API Gateway. */
export function startGateway() {
  // It asks cargo whether what it starts is up to date.
  const { RUSTUP_HOME, CARGO_HOME, CARGO_TARGET_DIR } = process.env;
  const set = Object.entries({ RUSTUP_HOME, CARGO_HOME, CARGO_TARGET_DIR }).filter(([, value]) => value != null);
  return start(GATEWAY, [], Object.fromEntries(set), {});
}

/** `serve` with these settings and files (`{name: content}`) in its folder. */
export function startMonitor(settings, files = {}) {
  return start(PROGRAM, ["serve"], { LISTEN: "127.0.0.1:0", ...settings }, files);
}

async function start(program, args, settings, files) {
  const name = [basename(program), ...args.slice(0, 1)].join(" ");
  const folder = mkdtempSync(join(tmpdir(), "llm-monitor-browser-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  const { PATH, HOME } = process.env;
  const child = spawn(program, args, { cwd: folder, env: { PATH, HOME, ...settings }, stdio: ["ignore", "pipe", "pipe"], detached: true });
  // Whatever ends the checks ends what they started, and what that started: they are a group of their own.
  const kill = () => process.kill(-child.pid, "SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  let said = "";
  const stop = async () => {
    if (child.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const url = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} did not say where it listens:\n${said}`)), START_MS);
    const listen = (chunk) => {
      said += chunk;
      const address = said.match(/(?:open\s+|listening on )(http:\/\/127\.0\.0\.1:\d+)\s/)?.[1];
      if (!address) return;
      clearTimeout(timer);
      resolve(address);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`${name} ended with ${code}:\n${said}`));
    });
  });
  return { url, folder, stop };
}

/** A usage endpoint that says `report`, as it is then, of every day. */
export async function startUsageEndpoint(report) {
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(report));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/usage`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

/** A page of another origin, as the predecessor's dashboard was. */
export async function startOtherOrigin() {
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<!doctype html><title>another page</title>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://localhost:${server.address().port}`, stop: () => new Promise((resolve) => server.close(resolve)) };
}
