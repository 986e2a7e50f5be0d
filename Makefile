# `make help` lists the targets. Everything that is installed lands in .venv, everything that is made in var.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
MOLECULE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/molecule
# What a fresh Debian needs before the rest can install itself.
PACKAGES := python3-venv python3-apt openssh-client
# libvirt-python, which the unit tests drive libvirt's test driver with, is compiled; the rest is what tests run.
DEV_PACKAGES := gcc pkg-config python3-dev libvirt-dev shellcheck busybox curl iproute2 qemu-system-x86 qemu-utils xorriso
# Servers that tests start for themselves: installing them must not start the machine's own.
TEST_SERVERS := mariadb-server-core rabbitmq-server

# Molecule scenarios on the hosts of inventories/ha, which bear two at a time; all others are on the lab's. The last makes a
# whole cloud.
HA_QUEUE_SCENARIOS := certificates chrony memcached rabbitmq
HA_SERVICE_SCENARIOS := galera haproxy keepalived
HA_SCENARIOS := $(HA_QUEUE_SCENARIOS) $(HA_SERVICE_SCENARIOS) controller

.PHONY: help cloud test test-all suites lint lint-sanity unit distributed lab-test lab-long molecule molecule-lab-host molecule-roles molecule-ha molecule-ha-queue molecule-ha-service ha-hosts overcloud faults faults-quick sanity bench down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

cloud: $(VENV)/.ready .novnc ## Make this machine a two-host cloud and boot a server on each host
	@$(BIN)/skywright up

test: $(VENV)/.ready-servers ## Run the tests (makes the cloud if there is none)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line lint-sanity suites

# One after another, while lint and sanity have what they leave of the processors.
suites:
	@$(MAKE) --no-print-directory --jobs=1 --output-sync=none unit distributed lab-test

lint-sanity:
	@$(MAKE) --no-print-directory --jobs=1 --output-sync=none lint sanity

test-all: test ## Run all tests: also those that take minutes of waiting, all Molecule scenarios, and all faults of an overcloud
	@$(MAKE) --no-print-directory --jobs=1 --output-sync=none lab-long molecule molecule-ha faults

lint: $(VENV)/.ready-dev ## Check style, types, playbooks and changelog
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	nice $(BIN)/mypy
	nice $(BIN)/yamllint --strict .
	nice $(BIN)/ansible-lint --offline

unit: $(VENV)/.ready-dev $(BIN)/promtool ## Run the tests that need no hosts
	$(BIN)/pytest -q -n 2 tests/unit tests/contract tests/security tests/toy_kind

distributed: $(VENV)/.ready-servers ## Run the tests of several controllers on a MariaDB and a RabbitMQ of their own
	$(BIN)/pytest -q tests/distributed

lab-test: $(VENV)/.ready-dev cloud ## Run the tests on the lab's hosts
	$(BIN)/pytest -q -n 3 --dist loadfile -m "not alone and not long" tests/lab
	$(BIN)/pytest -q -m alone tests/lab

lab-long: $(VENV)/.ready-dev cloud ## Run the tests on the lab's hosts that take minutes of waiting
	$(BIN)/pytest -q -n 3 -m long tests/lab

molecule: $(VENV)/.ready-dev cloud ## Run the Molecule scenarios of the roles for computes and networks, on the lab's hosts
	@$(MAKE) --no-print-directory --jobs=2 --output-sync molecule-lab-host molecule-roles

# It makes hosts of its own, so the others run meanwhile.
molecule-lab-host:
	$(MOLECULE) test --scenario-name lab_host

molecule-roles:
	$(MOLECULE) test --all $(addprefix --exclude ,lab_host $(HA_SCENARIOS))

ha-hosts: $(VENV)/.ready # Three controllers and two computes, beside the lab's hosts
	$(BIN)/ansible-playbook -i inventories/ha playbooks/lab.yml

overcloud: cloud ha-hosts ## Deploy a highly available cloud: three controllers and two computes, on hosts of its own
	inventories/ha/hosts.py --plan > var/ha/plan.yml
	$(BIN)/skywright overcloud deploy --accept-host-keys var/ha/plan.yml

faults: $(VENV)/.ready-dev overcloud ## Break the highly available cloud in every way, while clients use it: a table, and var/faults.json
	$(BIN)/pytest -q tests/faults

faults-quick: $(VENV)/.ready-dev overcloud ## Break the highly available cloud a little
	$(BIN)/pytest -q -m quick tests/faults

molecule-ha: $(VENV)/.ready-dev ha-hosts ## Run the Molecule scenarios of the controllers' roles
	@$(MAKE) --no-print-directory --jobs=2 --output-sync molecule-ha-queue molecule-ha-service
	$(MOLECULE) test --scenario-name controller

molecule-ha-queue:
	$(MOLECULE) test $(addprefix --scenario-name ,$(HA_QUEUE_SCENARIOS))

molecule-ha-service:
	$(MOLECULE) test $(addprefix --scenario-name ,$(HA_SERVICE_SCENARIOS))

sanity: $(VENV)/.ready-dev ## Run ansible-test sanity on the built collection (it fetches its own pip)
	# Outside the checkout, where git would hide it from ansible-test.
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(BIN)/ansible-galaxy collection build --output-path "$$dir" >/dev/null; \
	ANSIBLE_COLLECTIONS_PATH="$$dir" $(BIN)/ansible-galaxy collection install -p "$$dir" "$$dir"/*.tar.gz >/dev/null; \
	cd "$$dir/ansible_collections/skywright/cloud"; \
	PATH="$(CURDIR)/$(BIN):$$PATH" nice ansible-test sanity --python 3.11 --skip-test pylint

bench: cloud ## Measure against the bare tools (ONLY=events,scale ROUNDS=3): a table, and var/bench.json
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

down: ## Remove the cloud: hosts, bridges, processes, files
	@if [ -x $(BIN)/skywright ]; then $(BIN)/skywright down; fi

clean: down ## Remove the virtual environment and the cached base tree too
	rm -rf $(VENV) .novnc /var/cache/skywright

$(VENV)/.ready: requirements.lock pyproject.toml
	@missing=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(PACKAGES) 2>/dev/null | grep -c '^installed'); \
	if [ "$$missing" != "$(words $(PACKAGES))" ]; then apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(PACKAGES); fi
	@[ -x $(BIN)/pip ] || /usr/bin/python3 -m venv $(VENV)
	$(BIN)/pip install -q -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

# A file or directory of one of Debian's packages, without what installing the package would bring along.
UNPACK = dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cd "$$dir" && \
	fetch() { apt-get download -qq -o APT::Sandbox::User=root $(1); } && \
	{ fetch 2>/dev/null || { apt-get update -qq && fetch; }; } && dpkg-deb -x $(1)_*.deb . && cp -r $(2) "$(CURDIR)/$@"

# The page of consoles, for which Debian's package wants Node.js and NumPy. A cloud can do without.
.novnc:
	@{ $(call UNPACK,novnc,usr/share/novnc); } || \
	echo "noVNC cannot be fetched from Debian: consoles of servers have no page" >&2

# It tests the alert rules; the package would start a Prometheus.
$(BIN)/promtool: | $(VENV)/.ready
	@$(call UNPACK,prometheus,usr/bin/promtool)

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	@if ! dpkg-query -W -f '$${db:Status-Status}\n' $(DEV_PACKAGES) 2>/dev/null | grep -c '^installed' | grep -qx $(words $(DEV_PACKAGES)); then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(DEV_PACKAGES); fi
	$(BIN)/pip install -q -r requirements-dev.lock
	@touch $@

$(VENV)/.ready-servers: $(VENV)/.ready-dev
	@if ! dpkg-query -W -f '$${db:Status-Status}\n' $(TEST_SERVERS) 2>/dev/null | grep -c '^installed' | grep -qx $(words $(TEST_SERVERS)); then \
		[ ! -d /run/systemd/system ] || systemctl mask rabbitmq-server.service epmd.service epmd.socket; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(TEST_SERVERS); fi
	@touch $@
