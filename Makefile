# A short front on Meson. Every target sets up what it needs and can be run again.
# What users run is optimised as a whole: a sixth less CPU a record. (clang needs another linker for it.)
LTO := $(if $(findstring clang,$(CC)),false,true)
RELEASE := -Dtests=false -Dfaults=false -Doptimization=3 -Db_lto=$(LTO)

.PHONY: help build test demo demo-queue demo-flow demo-steps bench crash lint clean

help:
	@echo 'make build   set up and build build/penstock'
	@echo 'make test    set up, build with gcc and clang, pass all tests (ONLY=part for one)'
	@echo 'make demo    set up, build, run the main job on real data'
	@echo 'make demo-queue  the same for jobs: documents through three stages of services'
	@echo 'make demo-flow   the same for flows: a daily job that fails and goes on where it stopped'
	@echo 'make demo-steps  the same for processing steps: forty jobs of two versions, by the pinexq client'
	@echo 'make bench   measure (ONLY=name for one)'
	@echo 'make crash   1000 rounds of killing server and workers'
	@echo 'make lint    form, layers and static analysis alone'
	@echo 'make clean   remove what was built; the set-up stays'

build:
	@tools/setup.sh build
	@tools/build.sh build $(RELEASE) -Dbench=false

test:
	@tools/setup.sh build demo demo-queue demo-flow demo-steps test
	@.venv/bin/python tools/run_tests.py $(ONLY)

demo:
	@tools/setup.sh build demo
	@tools/build.sh build $(RELEASE) -Dbench=false
	@.venv-planchet/bin/python demo/demo.py

demo-queue:
	@tools/setup.sh build demo-queue
	@tools/build.sh build $(RELEASE) -Dbench=false
	@.venv-openaleph/bin/python demo/queue_demo.py

demo-flow:
	@tools/setup.sh build demo-flow
	@tools/build.sh build $(RELEASE) -Dbench=false
	@.venv-flow/bin/python demo/flow_demo.py

demo-steps:
	@tools/setup.sh build demo-steps
	@tools/build.sh build $(RELEASE) -Dbench=false
	@.venv-pinexq/bin/python demo/step_demo.py

bench:
	@tools/setup.sh build bench
	@tools/build.sh build $(RELEASE) -Dbench=true
	@.venv/bin/python bench/run.py $(ONLY)

crash:
	@tools/setup.sh build test
	@.venv/bin/python tools/run_tests.py crash --rounds=1000

lint:
	@tools/setup.sh build test
	@.venv/bin/python tools/run_tests.py layers format tidy python manual openapi

clean:
	rm -rf build build-* demo-data demo-queue-data demo-flow-data demo-steps-data
