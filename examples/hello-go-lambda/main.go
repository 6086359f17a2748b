// A function in Go as AWS Lambda runs it: one process serves many calls.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Name  string `json:"name"`
	Query struct {
		Name string `json:"name"`
	} `json:"queryStringParameters"`
}

type answer struct {
	Message string `json:"message"`
	Calls   int    `json:"calls"` // that this instance has served
}

func main() {
	calls := 0
	lambda.Start(func(ctx context.Context, e event) (answer, error) {
		calls++
		if call, ok := lambdacontext.FromContext(ctx); ok {
			log.Printf("serving %s", call.AwsRequestID)
		}
		return answer{fmt.Sprintf("Hello, %s!", cmp.Or(e.Name, e.Query.Name, "world")), calls}, nil
	})
}
