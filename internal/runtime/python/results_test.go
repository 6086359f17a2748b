package python_test

import (
	"testing"
)

func TestHandlerAnswers(t *testing.T) {
	t.Parallel()
	i := function(t, `
def handle(event, context):
    print("hello", event)
    return {"echo": event, "id": context.request_id}
`)
	i.want(t, `{"name":"Ada"}`, `{"echo":{"name":"Ada"},"id":"0197-request"}`)
	i.want(t, ``, `{"echo":null,"id":"0197-request"}`)
}
