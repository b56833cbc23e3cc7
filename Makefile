# make test       everything a commit must pass, with the race detector
# make torture    the same histories and faults, for half an hour; writes torture-out/
# make compat     lock libraries' own tests, as they come, against holdfast
# make bench      speed beside what one would use instead, in one run; draws integration/growth/*.svg anew
# make fuzz       each fuzz test for a minute

GO      ?= go
TORTURE ?= 30m
FUZZ    ?= 60s
RUNS    ?= 200000

# Node's lock libraries, and where Debian has PHP's.
NODE := integration/testdata/node
PHP  := /usr/share/php

.PHONY: test tools servers lint unit fuzz-short torture compat bench fuzz

test: tools lint unit fuzz-short

# The servers and clients that the tests start for real.
tools: servers $(NODE)/node_modules/.package-lock.json

servers:
	@.ci/need redis-server=redis-server redis-cli=redis-tools redis-benchmark=redis-tools script=bsdutils memcached=memcached cc=gcc,libc6-dev \
		node=nodejs npm=npm \
		'/usr/bin/python3 -c "import redis"=python3-redis' \
		'/usr/bin/ruby -e "require %(redis)"=ruby-redis' \
		php=php-cli 'php -r "new Redis;"=php-redis' \
		'test -e $(PHP)/Predis/autoload.php=php-predis' \
		'test -e $(PHP)/Symfony/Component/Lock/autoload.php=php-symfony-lock' \
		'test -e $(PHP)/Illuminate/Cache/autoload.php=php-illuminate-cache' \
		'test -e $(PHP)/Illuminate/Redis/autoload.php=php-illuminate-redis' \
		'test -e $(PHP)/Malkusch/Lock/autoload.php=php-malkusch-lock'

$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json | servers
	cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

lint:
	@test -z "$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files -co --exclude-standard '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# -count 1: what integration/ builds, and its drivers, are not in what Go takes to
# decide that an earlier result still holds.
unit:
	CGO_ENABLED=1 $(GO) test -race -count 1 -timeout 20m -skip '^(TestNoSchedule|TestEachBroken)' ./...
	$(GO) test -timeout 20m -run '^(TestNoSchedule|TestEachBroken)' ./quorum -v -sim.runs 3000

# Long enough to find what a change broke, short enough for every run. Counted, and not
# timed: go at times takes the end of the time for a failure.
fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ=5000x

fuzz:
	@set -e; $(GO) test -list '^Fuzz' ./... | awk '/^Fuzz/ {names[n++]=$$1} /^ok/ {for (i=0; i<n; i++) print $$2, names[i]; n=0}' | \
	while read -r package name; do $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZ) "$$package"; done

torture: tools
	$(GO) test -timeout 3h -run 'TestNoSchedule|TestEachBroken|TestTheSearch' ./quorum -v -sim.runs $(RUNS)
	TORTURE_TIME=$(TORTURE) TORTURE_OUT=$(CURDIR)/torture-out $(GO) test -timeout 3h -run 'Torture' ./integration -v

# In a network of its own, where nobody else has Redis's port.
compat: tools
	@.ci/need ip=iproute2 unshare=util-linux
	$(GO) test -count 1 -run '^$$' ./integration github.com/bsm/redislock
	unshare $$([ $$(id -u) = 0 ] || echo --map-root-user) --net sh -c "ip link set lo up && \
		COMPAT=all $(GO) test -count 1 -timeout 30m -run 'TheirOwnTests|LocksAsUsual' ./integration -v"

# Ends with the table, and fails if a line of it is short of its least.
bench: tools
	$(GO) test -run '^$$' -bench '^BenchmarkGrowth$$' -benchtime 1x -timeout 30m ./integration
	$(GO) run ./integration/growth integration/growth
	$(GO) test -run '^$$' -bench '^BenchmarkFloor$$' -benchtime 1x -timeout 30m ./integration
	$(GO) test -run '^$$' -bench '^BenchmarkSpeed$$' -benchtime 1x -timeout 30m ./integration
