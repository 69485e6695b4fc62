#!/bin/sh
# Calls a tool of an MCP server behind the gateway, message by message.
#
#   MCP_TOKEN=... sh curl.sh URL [TOOL [ARGUMENTS]]
#
# MCP_TOKEN is an access token or an API key. MCP_VERSION is by default 2026-07-28, where every message is independent; with an
# older version (2025-11-25 and before) `initialize` comes first. ARGUMENTS is JSON.
set -eu

url=${1:?"is required: sh curl.sh URL [TOOL [ARGUMENTS]]"}
tool=${2:-whoami}
arguments=${3:-"{}"}
version=${MCP_VERSION:-2026-07-28}
: "${MCP_TOKEN:?must be an access token or an API key}"

head=$(mktemp)
trap 'rm -f "$head"' EXIT

# The token goes through a pipe: `printf` is part of the shell, so the token is in no command line that other users can list.
send() {
  printf 'Authorization: Bearer %s\n' "$MCP_TOKEN" |
    curl --silent --show-error --fail-with-body --max-time 60 --dump-header "$head" --header @- \
      --header 'Content-Type: application/json' --header 'Accept: application/json, text/event-stream' "$@" "$url"
}

# The response is JSON, or an event stream whose last event is the result. The header fields of a refusal say what is missing.
post() {
  if answer=$(send "$@"); then
    printf '%s\n' "$answer" | sed -n -e 's/^data: *//' -e '/^{/p'
  else
    grep -iE '^(http/|www-authenticate:|retry-after:)' "$head" >&2 || true
    printf '%s\n' "$answer" >&2
    exit 1
  fi
}

modern() {
  method=$1 params=$2
  shift 2
  meta='"_meta": {"io.modelcontextprotocol/protocolVersion": "'$version'", "io.modelcontextprotocol/clientCapabilities": {}}'
  # The header fields repeat values of the body; the gateway refuses a request whose fields and body differ.
  post --header "MCP-Protocol-Version: $version" --header "Mcp-Method: $method" "$@" \
    --data '{"jsonrpc": "2.0", "id": 1, "method": "'"$method"'", "params": {'"$params$meta"'}}'
}

call='"name": "'$tool'", "arguments": '$arguments

case $version in
2026-* | 2027-*)
  modern tools/list ''
  modern tools/call "$call, " --header "Mcp-Name: $tool"
  ;;
*)
  post --data '{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "'"$version"'",
    "capabilities": {}, "clientInfo": {"name": "curl", "version": "1"}}}'
  # Servers without sessions return no session id.
  session=$(tr -d '\r' <"$head" | awk 'tolower($1) == "mcp-session-id:" { print $2 }')
  set -- --header "MCP-Protocol-Version: $version" ${session:+--header "Mcp-Session-Id: $session"}
  post "$@" --data '{"jsonrpc": "2.0", "method": "notifications/initialized"}'
  post "$@" --data '{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}'
  post "$@" --data '{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {'"$call"'}}'
  if [ -n "$session" ]; then send "$@" --request DELETE >/dev/null; fi
  ;;
esac
