#!/bin/sh
# A custom runtime as AWS's tutorial has it: curl in a loop. The event's "do" says what to answer.
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
headers=$(mktemp)
code='-s -o /dev/null -w %{http_code}'

post() { curl -sS -o /dev/null "$api/invocation/$id/$@"; }

case $AHEAD in
report)
	curl -sS -o /dev/null -H 'Lambda-Runtime-Function-Error-Type: Runtime.NoConfig' "$api/init/error" \
		-d '{"errorMessage":"no config","errorType":"","stackTrace":["one","two"]}'
	exit 1
	;;
status) exit 5 ;;
nothing) exit 0 ;;
esac

while :; do
	event=$(curl -sS -D "$headers" "$api/invocation/next") || exit 9
	header() { tr -d '\r' <"$headers" | sed -n "s/^$1: //Ip"; }
	id=$(header Lambda-Runtime-Aws-Request-Id)
	case $event in
	*'"echo"'*) post response -d "$event" ;;
	*'"tutorial"'*) post response -d "Echoing request: '$event'" ;;
	*'"empty"'*) post response -d '' ;;
	*'"headers"'*)
		post response -d "{\"id\":\"$id\",\"deadline\":$(header Lambda-Runtime-Deadline-Ms),\"arn\":\"$(header Lambda-Runtime-Invoked-Function-Arn)\",\"trace\":\"$(header Lambda-Runtime-Trace-Id)\"}"
		;;
	*'"error"'*) post error -H 'Lambda-Runtime-Function-Error-Type: Shell.Oops' -d '{"errorMessage":"not today"}' ;;
	*'"bare error"'*) post error -d 'not JSON' ;;
	*'"codes"'*)
		# What the API answers to what it should refuse.
		next=$(curl $code "$api/invocation/next")
		unknown=$(curl $code "$api/invocation/00000000/response" -d 1)
		init=$(curl $code "$api/init/error" -d '{}')
		path=$(curl $code "$api/invocation")
		method=$(curl $code -X DELETE "$api/invocation/next")
		post response -d "[$next,$unknown,$init,$path,$method]"
		finished=$(curl $code "$api/invocation/$id/response" -d 2)
		failed=$(curl $code "$api/invocation/$id/error" -d '{}')
		echo "finished: $finished $failed"
		;;
	*'"large"'*)
		large=$(head -c 1048577 /dev/zero | tr '\0' 1 | curl $code -H 'Expect:' "$api/invocation/$id/response" --data-binary @-)
		echo "large: $large"
		;;
	*'"chunked"'*)
		large=$(head -c 1048577 /dev/zero | tr '\0' 1 | curl $code -H 'Expect:' -H 'Transfer-Encoding: chunked' "$api/invocation/$id/response" --data-binary @-)
		echo "chunked: $large"
		;;
	*'"stream"'*)
		printf 'one € two' | curl -sS -o /dev/null -H 'Lambda-Runtime-Function-Response-Mode: streaming' -H 'Content-Type: text/plain' \
			-H 'Transfer-Encoding: chunked' "$api/invocation/$id/response" --data-binary @-
		;;
	*'"prelude"'*)
		printf '{"headers":{"a":"b"}}\0\0\0\0\0\0\0\0the body' | curl -sS -o /dev/null -H 'Content-Type: application/vnd.awslambda.http-integration-response' \
			-H 'Lambda-Runtime-Function-Response-Mode: streaming' -H 'Transfer-Encoding: chunked' "$api/invocation/$id/response" --data-binary @-
		;;
	*'"no prelude"'*)
		post response -H 'Content-Type: application/vnd.awslambda.http-integration-response' -d 'the body'
		;;
	*'"say"'*)
		echo 'to stdout'
		echo 'to stderr' >&2
		post response -d null
		;;
	*'"leave"'*) post response -d '"gone"' && exit 0 ;;
	*'"die"'*)
		echo 'last words' >&2
		exit 7
		;;
	*'"orphan"'*)
		sleep 1000 &
		post response -d "$!"
		;;
	*) post response -d "$event" ;;
	esac
done
