// Packs and installs once, for all files of these tests: `node prepare.mjs FOLDER`.
import { install, pack } from "./support.mjs";

const folder = process.argv[2];
install(pack(folder));
