# `make help` lists the targets. Installed files are in .venv, generated files in var.
SHELL := /bin/bash
VENV := .venv
# OpenStack's integration tests; they pin other versions than .venv has.
TEMPEST_VENV := .venv-tempest
BIN := $(VENV)/bin
MOLECULE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/molecule
# Packages that a fresh Debian needs before pip can install the rest.
PACKAGES := python3-venv python3-apt openssh-client
# libvirt-python, with which unit tests use libvirt's test driver, is compiled; tests run the other packages' programs.
DEV_PACKAGES := gcc pkg-config python3-dev libvirt-dev shellcheck busybox curl iproute2 qemu-system-x86 qemu-utils xorriso
# Servers that tests start themselves: installing the packages must not start services of the machine.
TEST_SERVERS := mariadb-server-core rabbitmq-server

# Molecule scenarios on the hosts of inventories/ha, two at a time; all others run on the lab's hosts. The last one
# deploys a whole cloud.
HA_QUEUE_SCENARIOS := certificates chrony memcached rabbitmq
HA_SERVICE_SCENARIOS := galera haproxy keepalived
HA_SCENARIOS := $(HA_QUEUE_SCENARIOS) $(HA_SERVICE_SCENARIOS) controller

.PHONY: help cloud test test-all suites lint lint-sanity unit distributed lab-test lab-long molecule molecule-lab-host molecule-roles molecule-ha molecule-ha-queue molecule-ha-service tempest ha-hosts overcloud faults faults-quick sanity bench down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

cloud: $(VENV)/.ready .novnc ## Start a cloud with two hosts on this machine and boot a server on each
	@$(BIN)/skywright up

test: $(VENV)/.ready-servers ## Run the tests (makes the cloud if there is none)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line lint-sanity suites

# One after another, while lint and sanity use the remaining processor time.
suites:
	@$(MAKE) --no-print-directory --jobs=1 --output-sync=none unit distributed lab-test

lint-sanity:
	@$(MAKE) --no-print-directory --jobs=1 --output-sync=none lint sanity

test-all: test ## Run all tests, including those that wait for minutes, all Molecule scenarios and all faults of an overcloud
	@$(MAKE) --no-print-directory --jobs=1 --output-sync=none lab-long molecule tempest molecule-ha faults

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

lab-long: $(VENV)/.ready-dev cloud ## Run the tests on the lab's hosts that wait for minutes
	$(BIN)/pytest -q -n 3 -m long tests/lab

molecule: $(VENV)/.ready-dev cloud ## Run the Molecule scenarios of the roles for computes and networks, on the lab's hosts
	@$(MAKE) --no-print-directory --jobs=2 --output-sync molecule-lab-host molecule-roles

# It creates its own hosts, so the others run at the same time.
molecule-lab-host:
	$(MOLECULE) test --scenario-name lab_host

molecule-roles:
	$(MOLECULE) test --all $(addprefix --exclude ,lab_host $(HA_SCENARIOS))

tempest: $(VENV)/.ready-dev $(TEMPEST_VENV)/.ready cloud ## Run OpenStack's integration tests of the offered services
	$(BIN)/python tests/tempest/run.py

ha-hosts: $(VENV)/.ready # Three controllers and two computes, beside the lab's hosts
	$(BIN)/ansible-playbook -i inventories/ha playbooks/lab.yml

overcloud: cloud ha-hosts ## Deploy a highly available cloud: three controllers and two computes, on hosts of its own
	inventories/ha/hosts.py --plan > var/ha/plan.yml
	$(BIN)/skywright overcloud deploy --accept-host-keys var/ha/plan.yml

faults: $(VENV)/.ready-dev overcloud ## Inject all faults into the highly available cloud while clients use it: a table, and var/faults.json
	$(BIN)/pytest -q tests/faults

faults-quick: $(VENV)/.ready-dev overcloud ## Inject a few faults into the highly available cloud
	$(BIN)/pytest -q -m quick tests/faults

molecule-ha: $(VENV)/.ready-dev ha-hosts ## Run the Molecule scenarios of the controllers' roles
	@$(MAKE) --no-print-directory --jobs=2 --output-sync molecule-ha-queue molecule-ha-service
	$(MOLECULE) test --scenario-name controller

molecule-ha-queue:
	$(MOLECULE) test $(addprefix --scenario-name ,$(HA_QUEUE_SCENARIOS))

molecule-ha-service:
	$(MOLECULE) test $(addprefix --scenario-name ,$(HA_SERVICE_SCENARIOS))

sanity: $(VENV)/.ready-dev ## Run ansible-test sanity on the built collection (it fetches its own pip)
	# Outside the checkout, because ansible-test ignores files that git ignores.
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(BIN)/ansible-galaxy collection build --output-path "$$dir" >/dev/null; \
	ANSIBLE_COLLECTIONS_PATH="$$dir" $(BIN)/ansible-galaxy collection install -p "$$dir" "$$dir"/*.tar.gz >/dev/null; \
	cd "$$dir/ansible_collections/skywright/cloud"; \
	PATH="$(CURDIR)/$(BIN):$$PATH" nice ansible-test sanity --python 3.11 --skip-test pylint

bench: cloud ## Compare the cloud with the bare tools (ONLY=events,scale ROUNDS=3): a table, and var/bench.json
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

down: ## Remove the cloud: hosts, bridges, processes, files
	@if [ -x $(BIN)/skywright ]; then $(BIN)/skywright down; fi

clean: down ## Remove the virtual environment and the cached base tree too
	rm -rf $(VENV) $(TEMPEST_VENV) .novnc /var/cache/skywright

$(VENV)/.ready: requirements.lock pyproject.toml
	@missing=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(PACKAGES) 2>/dev/null | grep -c '^installed'); \
	if [ "$$missing" != "$(words $(PACKAGES))" ]; then apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(PACKAGES); fi
	@[ -x $(BIN)/pip ] || /usr/bin/python3 -m venv $(VENV)
	$(BIN)/pip install -q -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

# A file or directory of a Debian package, without installing the package and its dependencies.
UNPACK = dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cd "$$dir" && \
	fetch() { apt-get download -qq -o APT::Sandbox::User=root $(1); } && \
	{ fetch 2>/dev/null || { apt-get update -qq && fetch; }; } && dpkg-deb -x $(1)_*.deb . && cp -r $(2) "$(CURDIR)/$@"

# noVNC for consoles, without its dependencies Node.js and NumPy. A cloud works without it.
.novnc:
	@{ $(call UNPACK,novnc,usr/share/novnc); } || \
	echo "noVNC cannot be fetched from Debian: consoles of servers have no page" >&2

# It tests the alert rules; the package would start a Prometheus service.
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

$(TEMPEST_VENV)/.ready: tests/tempest/requirements.lock | $(VENV)/.ready
	@[ -x $(TEMPEST_VENV)/bin/pip ] || /usr/bin/python3 -m venv $(TEMPEST_VENV)
	$(TEMPEST_VENV)/bin/pip install -q -r tests/tempest/requirements.lock
	@touch $@
