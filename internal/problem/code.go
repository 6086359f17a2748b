package problem

import (
	"net/http"

	"nimbus"
)

// The codes that only an HTTP transport gives; the others are nimbus.Codes.
const (
	CodeMethodNotAllowed nimbus.Code = "method_not_allowed"    // the path is there, for other methods
	CodeFunctionError    nimbus.Code = "function_error"        // a function URL's code failed
	CodeFunctionTimeout  nimbus.Code = "function_timeout"      // a function URL's code took too long
	CodeBadResponse      nimbus.Code = "bad_function_response" // a function's result is no HTTP response
)

// Codes lists every code a problem can carry.
func Codes() []nimbus.Code {
	return append(nimbus.Codes(), CodeMethodNotAllowed, CodeFunctionError, CodeFunctionTimeout, CodeBadResponse)
}

// Status returns the HTTP status of a code. An unknown code is 500.
func Status(code nimbus.Code) int {
	switch code {
	case nimbus.CodeBadRequest:
		return http.StatusBadRequest
	case nimbus.CodeInvalid:
		return http.StatusUnprocessableEntity
	case nimbus.CodeUnauthenticated:
		return http.StatusUnauthorized
	case nimbus.CodeForbidden:
		return http.StatusForbidden
	case nimbus.CodeNotFound:
		return http.StatusNotFound
	case CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case nimbus.CodeConflict:
		return http.StatusConflict
	case nimbus.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case nimbus.CodeUnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case nimbus.CodeTooManyRequests:
		return http.StatusTooManyRequests
	case CodeFunctionError, CodeBadResponse:
		return http.StatusBadGateway
	case nimbus.CodeUnavailable:
		return http.StatusServiceUnavailable
	case CodeFunctionTimeout:
		return http.StatusGatewayTimeout
	case nimbus.CodeInsufficientStorage:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}
