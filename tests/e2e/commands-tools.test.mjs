/** What the commands say where the machine lacks a tool that they need. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { BIN, ROOT, startProcess } from "./support/processes.mjs";

const HOST = execFileSync("rustc", ["-vV"], { encoding: "utf8" }).match(/^host: (.*)$/m)[1];
const LINKER = `CARGO_TARGET_${HOST.toUpperCase().replaceAll("-", "_")}_LINKER`;

describe("without a tool", { timeout: 60_000, skip: process.platform === "win32" }, () => {
  let folder;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "portcullis-tools-"));
    for (const name of ["cargo", "rustc"]) {
      const path = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
      await symlink(path, join(folder, name));
    }
    await writeFile(join(folder, "clang"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    await symlink("/bin/sh", join(folder, "sh"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Runs a command with the programs of the folder alone, and with a home of cargo that names no linker. */
  async function run(args, env = {}) {
    const program = startProcess(join(BIN, "node"), [join(ROOT, "scripts", args[0]), ...args.slice(1)], {
      env: { PATH: folder, CARGO_HOME: folder, RUSTFLAGS: "", ...env },
    });
    const { code } = await program.exited;
    return { code, ...program.output };
  }

  for (const args of [
    ["portcullis.mjs", "check"],
    ["build.mjs"],
    ["test.mjs", "unit"],
    ["deploy.mjs", "--dry-run"],
  ])
    test(`a C compiler: ${args.join(" ")}`, async () => {
      const { code, stderr } = await run(args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /^portcullis: no linker was found: cargo links with the C compiler `cc`\./);
      for (const help of ["apt install build-essential", "dnf install gcc", "xcode-select --install"])
        assert.ok(stderr.includes(help), stderr);
      assert.ok(stderr.includes(`Or set ${LINKER}=clang, which is installed.`), stderr);
    });

  test("a linker that the environment names", async () => {
    const { code, stderr } = await run(["portcullis.mjs", "check"], { [LINKER]: "no-such-linker" });
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`links with no-such-linker, which ${LINKER} names\\.`));
  });

  test("cargo", async () => {
    const { code, stderr } = await run(["portcullis.mjs", "check"], { PATH: join(folder, "none") });
    assert.equal(code, 2);
    assert.match(stderr, /cargo was not found\. Install Rust with rustup/);
  });
});
