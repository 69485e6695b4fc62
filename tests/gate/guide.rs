//! `docs/policy.md` as it stands: its configuration, its table, and what its commands print. Native alone, as the command
//! line is. `UPDATE=1` writes the log of the example and what the commands print.

use std::process::Command;
use std::rc::Rc;

use portcullis::config::Secrets;
use portcullis::gateway::Gateway;
use portcullis::token::compiled::CompiledVerifiers;
use serde_json::{Value, json};

use crate::policy::message;
use crate::support::{Claims, World};

const GUIDE: &str = "docs/policy.md";
const EXAMPLE: &str = "examples/policy/wrangler.toml";

struct Any;

impl Secrets for Any {
    fn secret(&self, _: &str) -> Option<String> {
        Some("0123456789abcdef0123456789abcdef".to_owned())
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn document() -> Value {
    let table: toml::Table = read(EXAMPLE).parse().expect("TOML");
    serde_json::to_value(&table["vars"]["PORTCULLIS"]).expect("JSON")
}

fn open(document: Value) -> Rc<Gateway> {
    Rc::new(Gateway::open(document, &Any, [7; 32], CompiledVerifiers::default()).expect("the example is right"))
}

fn world() -> World {
    let world = World::new();
    let metadata =
        json!({ "issuer": "https://login.acme.example", "jwks_uri": "https://login.example/jwks" }).to_string();
    world.document("https://login.acme.example/.well-known/oauth-authorization-server", Ok(&metadata));
    world
}

fn claims(scope: &str) -> Claims {
    Claims::good()
        .with("iss", json!("https://login.acme.example"))
        .with("aud", json!("https://mcp.example.com/mcp"))
        .with("scope", json!(scope))
}

fn send(world: &World, gateway: &Rc<Gateway>, claims: Claims, method: &str, params: Value) -> crate::support::Reply {
    let mut request = message(claims, method, params).field("host", "mcp.example.com");
    "https://mcp.example.com/mcp".clone_into(&mut request.head.url);
    world.call(gateway, request)
}

#[test]
fn the_example_is_the_one_that_is_shown() {
    let example = read(EXAMPLE);
    let shown = example
        .split_once("[vars.PORTCULLIS]")
        .map(|(_, rest)| format!("```toml\n[vars.PORTCULLIS]{rest}```"))
        .expect("a table");
    assert!(read(GUIDE).contains(&shown), "the guide shows another configuration than {EXAMPLE}");
}

#[test]
fn the_table_of_the_guide_holds() {
    let gateway = open(document());
    let guide = read(GUIDE);
    let rows: Vec<Vec<String>> = guide
        .split_once("| who | what | then |")
        .expect("the table")
        .1
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(rows.len() >= 12);
    for row in rows {
        let quoted = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
        let (who, what, then) = (quoted(&row[0]), quoted(&row[1]), &row[2]);
        let mut claims = claims(&who[0]);
        if row[0].contains("client `") {
            claims = claims.with("client_id", json!(who[1]));
        }
        if row[0].contains("group `") {
            claims = claims.with("groups", json!([who[1]]));
        }
        let arguments: Value = what.get(1).map_or(json!({}), |text| serde_json::from_str(text).expect("arguments"));
        let world = world();
        let reply = if row[1].starts_with("call ") {
            send(&world, &gateway, claims, "tools/call", json!({ "name": what[0], "arguments": arguments }))
        } else {
            send(&world, &gateway, claims, "resources/read", json!({ "uri": what[0] }))
        };
        match then.as_str() {
            "passes" => assert_eq!(world.sent().len(), 1, "{row:?}: {}", reply.body),
            "unknown" => {
                assert!(reply.status == 200 && reply.json()["error"]["code"].is_i64(), "{row:?}: {}", reply.body);
            }
            _ => {
                assert_eq!(reply.status, 403, "{row:?}");
                let scopes = quoted(then).pop().expect("scopes");
                assert!(reply.field("www-authenticate").contains(&format!("scope=\"{scopes}\"")), "{row:?}");
            }
        }
    }
}

/// A log of the example as it was before the rule `destructive` was added.
fn log() -> String {
    let mut before = document();
    before["resources"][0]["rules"].as_array_mut().expect("rules").remove(1);
    let (world, gateway) = (world(), open(before));
    for tool in ["read_file", "delete_file", "write_file"] {
        send(&world, &gateway, claims("mcp:tools"), "tools/call", json!({ "name": tool }));
    }
    world.decisions().iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_commands_print_what_the_guide_says() {
    let update = std::env::var_os("UPDATE").is_some();
    let log_file = "examples/policy/decisions.log";
    if update {
        std::fs::write(log_file, log()).expect("the log can be written");
    }
    assert_eq!(read(log_file), log(), "{log_file} is not current: UPDATE=1 npm run test:unit writes it");
    let guide = read(GUIDE);
    let (before, rest) = guide.split_once("```console\n").expect("commands");
    let (shown, after) = rest.split_once("```").expect("their end");
    let mut printed = String::new();
    for command in shown.lines().filter_map(|line| line.strip_prefix("$ npx portcullis ")) {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis-command"))
            .args(command.split(' '))
            .current_dir("examples/policy")
            .output()
            .expect("it runs");
        printed += &format!("$ npx portcullis {command}\n{}", String::from_utf8(output.stdout).expect("text"));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    if update {
        std::fs::write(GUIDE, format!("{before}```console\n{printed}```{after}")).expect("the guide can be written");
        return;
    }
    assert_eq!(shown, printed, "{GUIDE} is not current: UPDATE=1 npm run test:unit writes it");
}

#[test]
fn a_log_with_a_gap_or_a_change_is_found_out() {
    let whole = log();
    let lines: Vec<&str> = whole.lines().collect();
    let run = |text: &str| {
        let path = std::env::temp_dir().join(format!("portcullis-{}-{}.log", std::process::id(), text.len()));
        std::fs::write(&path, text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-command"));
        let output =
            command.args(["replay", "--log"]).arg(&path).current_dir("examples/policy").output().expect("it runs");
        std::fs::remove_file(&path).expect("removed");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(run(&whole).ends_with("; 0 gaps\n"));
    assert!(run(&format!("{}\n{}\n", lines[0], lines[2])).ends_with("; 1 gaps\n"));
    assert!(run(&whole.replacen("read_file", "read_fine", 1)).contains("line 1: does not follow"));
    assert!(run(&lines[1..].join("\n")).ends_with("; 0 gaps\n"), "a log may begin in the middle of a run");
}

#[test]
fn the_examples_of_the_guide_are_as_expected() {
    let guide = read(GUIDE);
    let (_, rest) = guide.split_once("## Examples as tests").expect("the section");
    let (_, rest) = rest.split_once("```json\n").expect("the examples");
    let (examples, _) = rest.split_once("```").expect("their end");
    let path = std::env::temp_dir().join(format!("portcullis-{}-examples.json", std::process::id()));
    std::fs::write(&path, examples).expect("written");
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis-command"))
            .args(args)
            .arg(&path)
            .current_dir("examples/policy")
            .output()
            .expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (status, printed) = run(&["test"]);
    assert!(status == Some(0) && printed.ends_with("7 passed, 0 failed\n"), "{printed}");
    let (status, printed) = run(&["diff", "wrangler.toml", "wrangler.toml", "--examples"]);
    assert!(status == Some(0) && printed.ends_with("7 decisions: 7 the same, 0 changed, 0 unknown\n"), "{printed}");
    std::fs::remove_file(&path).expect("removed");
}
