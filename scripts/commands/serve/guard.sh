# Ends the processes of `portcullis serve` where the command itself ended without doing so, even by SIGKILL: its end closes our input. The
# input has "+ PID" for a process that was started, and "- PID" for one that ended. The argument is a folder to remove at the end.
trap '' INT TERM HUP
pids=
while read -r sign pid; do
  case $sign in
    +) pids="$pids $pid" ;;
    -)
      rest=
      for other in $pids; do [ "$other" = "$pid" ] || rest="$rest $other"; done
      pids=$rest
      ;;
  esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
rm -rf -- "$1"
