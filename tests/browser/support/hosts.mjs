// Real programs to look at: the demo, and monitors with settings of their own. Each in a folder that goes with it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TARGET = process.env.CARGO_TARGET_DIR ?? new URL("../../../target", import.meta.url).pathname;
const PROGRAM = join(TARGET, "debug", "llm-monitor");
const START_MS = 60_000;

/** @returns {Promise<{url: string, folder: string, stop: () => Promise<void>}>} */
export function startDemo() {
  return start(["demo", "--interval", "1", "--listen", "127.0.0.1:0"], {}, {});
}

/** `serve` with these settings and files (`{name: content}`) in its folder. */
export function startMonitor(settings, files = {}) {
  return start(["serve"], { LISTEN: "127.0.0.1:0", ...settings }, files);
}

async function start(args, settings, files) {
  const folder = mkdtempSync(join(tmpdir(), "llm-monitor-browser-"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const { PATH, HOME } = process.env;
  const child = spawn(PROGRAM, args, { cwd: folder, env: { PATH, HOME, ...settings }, stdio: ["ignore", "pipe", "pipe"] });
  // Whatever ends the checks ends what they started.
  const kill = () => child.kill("SIGKILL");
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
    const timer = setTimeout(() => reject(new Error(`${args[0]} did not say where it listens:\n${said}`)), START_MS);
    const listen = (chunk) => {
      said += chunk;
      const address = said.match(/(?:open\s+|listening on )(http:\/\/127\.0\.0\.1:\d+)\s/)?.[1];
      if (!address) return;
      clearTimeout(timer);
      resolve(address);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("exit", (code) => reject(new Error(`${args[0]} ended with ${code}:\n${said}`)));
  });
  return { url, folder, stop };
}

/** A usage endpoint that says `report` of every day. */
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
