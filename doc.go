// Package nimbus holds the domain of a self-hosted serverless platform: functions, versions,
// invocations, principals, limits and the one error type. It imports the standard library only;
// every other package of the module depends on it and it depends on none.
package nimbus
