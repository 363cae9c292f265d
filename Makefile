# Thin verbs over CMake presets, ctest and tools/. Each first installs what is missing from tools/packages.txt.
#   make build                       build/release/tenfold
#   make run [MODEL=file] [ARGS=..]  the server; without MODEL it starts empty and says what to type next
#   make test                        release build, unit tests, lints, end-to-end tests
#   make bench                       kernel micro-benchmarks
#   make format | make tidy          clang-format in place | clang-tidy (FILES="..." for some files only)
.DEFAULT_GOAL := build
.PHONY: build run test bench format tidy all-targets deps-build deps-test deps-check

BUILD := build/release
# A compiler that sees Beast takes about 1 GB: no more jobs than memory carries.
JOBS ?= $(shell awk -v cpus=$$(nproc) '/^MemAvailable/ { fit = int($$2 / 1500000); print fit < 1 ? 1 : fit < cpus ? fit : cpus }' /proc/meminfo)

deps-build deps-test deps-check: deps-%:
	@tools/install_deps.sh $*

$(BUILD)/build.ninja: CMakePresets.json | deps-build
	@cmake --preset release >$(BUILD).configure.log 2>&1 || { cat $(BUILD).configure.log; exit 1; }

build: deps-build
	@mkdir -p build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) --quiet tenfold

all-targets: deps-test
	@mkdir -p build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) --quiet

run: build
	@$(if $(MODEL),,echo "no MODEL given: the server starts empty. Next: make run MODEL=path/to/model.gguf")
	@exec $(BUILD)/tenfold serve $(if $(MODEL),-m '$(MODEL)') $(ARGS)

test: all-targets
	@tools/ci/run_ctest.sh $(BUILD) -j $(JOBS)

bench: all-targets
	@for program in $(BUILD)/bench/*_bench; do echo "== $$program"; "$$program" $(ARGS) || exit 1; done

format: deps-check
	@git ls-files --cached --others --exclude-standard '*.cc' '*.h' | xargs clang-format -i

tidy: deps-check
	@mkdir -p build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@FILES="$(FILES)" tools/lint/tidy.sh $(BUILD)
