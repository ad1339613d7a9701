module mcpsess-toolhive-tests

go 1.26

require (
	github.com/google/uuid v1.6.0
	github.com/redis/go-redis/v9 v9.21.0
	github.com/stacklok/toolhive v0.44.0
	github.com/stacklok/toolhive-core v0.0.38
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
)
