package main

import (
	"os"

	"nimbus/internal/build"
)

func (p *program) compilerConfig() build.CompilerConfig {
	b := p.cfg.Build
	return build.CompilerConfig{Dir: p.data.buildDir(), Programs: p.programs, Timeout: b.Timeout, Memory: b.Memory,
		Concurrency: b.Concurrency, GoProxy: b.GoProxy, GoSumDB: b.GoSumDB, FetchEnv: networkEnv(), Log: p.log}
}

// networkEnv is how the server's environment says that the network is reached, for what fetches modules.
func networkEnv() []string {
	var env []string
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}
