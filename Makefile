# SPDX-License-Identifier: GPL-2.0
# Every target calls the tool; `make` alone lists them. The tool's exit codes (0 pass, 1 the
# patch is at fault, 2 cannot judge, 64 wrong use) are to be had by calling it directly.

PYTHON ?= /usr/bin/python3
PINWAIT := $(PYTHON) tools/testing/kunit/pinwait.py

# What a variable holds is handed on as it is: neither make nor the shell reads anything into it.
quote = '$(subst ','\'',$(1))'
option = $(if $(value $(2)),--$(1)=$(call quote,$(value $(2))))
each = $(foreach word,$(value $(1)),$(foreach name,$(or $(wildcard $(word)),$(word)),$(call quote,$(name))))
kernel = $(call option,kernel,KERNEL) $(call option,tarball,TARBALL) $(call option,kdir,KDIR) $(call option,series-dir,SERIES_DIR)
series = $(call option,series,SERIES)
build = $(call option,profile,PROFILE) $(call option,jobs,JOBS)
boot = $(call option,json,JSON) $(call option,junit,JUNIT)
shard = $(call option,shard,SHARD)
choice = $(if $(value K),-k $(call quote,$(value K))) $(if $(LF),--lf)
filter = $(if $(value FILTER),$(call quote,$(value FILTER)))

.PHONY: help run prove soak explore mutants coverage gate check-gate presubmit merge test check prepare clean distclean

help:
	@echo 'make run        build a kernel, boot it, run the suites, judge'
	@echo 'make prove      assert the promises of the series on a kernel without it: exactly the cases that need it must fail'
	@echo 'make soak       boot N=20 times, PARALLEL=1 at a time, under load with STRESS=1'
	@echo 'make explore    boot under SEEDS=100 seeds, or only SEED=17: each draws CPUs and delays, so that events happen in another order'
	@echo 'make mutants    break the kernel in many ways (only MUTANTS=names, or SAMPLE=20); the suites must notice each'
	@echo '                with GENERATED=1 generated mutants, and a score: SAMPLE=500, SEED=, FUNCTIONS=globs,'
	@echo '                or FUNCTIONS=near: those that the series changes, and those that they call'
	@echo 'make coverage   which lines and branches of the change are executed; HTML'
	@echo 'make gate       judge each patch: pass, fail and why, not seen, or cannot judge: PATCH=mbox, folder or -,'
	@echo '                RANGE=a..b with KDIR=tree, or only KDIR=tree for what is uncommitted there'
	@echo 'make presubmit  the same for your own commits in KDIR=., before you send them; FULL=1, RANGE=a..b'
	@echo 'make check-gate check the gate on patches with known verdicts (only INPUTS=names, or SAMPLE=10)'
	@echo 'make merge      join the shards of a long job: RESULTS="folders or files"'
	@echo 'make test       the tests that need no kernel to be built, in a minute or two'
	@echo 'make check      all tests of the project'
	@echo 'make prepare    get the kernel and apply the series, no more; UPDATE=1 looks for a newer one'
	@echo 'make clean      remove objects and results, the gate'\''s too; make distclean: all that was generated'
	@echo ''
	@echo 'KERNEL=7.3      kernel from the package archive: x.y, or a package version'
	@echo 'TARBALL=file    a linux-*.tar.* file instead'
	@echo 'KDIR=/own/tree  your own git tree instead; it is only read'
	@echo 'SERIES=rfc      folder of patches/, or none (rfc; of KDIR what it has); SERIES_DIR=dir: another one'
	@echo 'MUTANT=name     run: break the kernel with one of tools/testing/mutants'
	@echo 'PROFILE=uml     table of lib/kunit-configs/profiles.toml'
	@echo "FILTER='s.c*'   only these cases"
	@echo 'PROFILES=a,b    gate: the suites in exactly these profiles (uml, and x86_64 if needed); BASE=commit of KDIR; CHECKS=a,b: only these'
	@echo 'SHARD=i/n       gate, check-gate, mutants, soak: do only the i-th of n shares'
	@echo 'RUNS=1          check-gate: judge each input N times'
	@echo 'RESUME=1        check-gate, mutants GENERATED=1: continue the same job where it was interrupted'
	@echo 'K=expression    test, check, check-gate: only tests whose names fit, as of pytest -k; LF=1: those that failed last time;'
	@echo '                test, check: COUNT=n: each n times'
	@echo 'JOBS=n  JSON=file  JUNIT=file'

run:
	@$(PINWAIT) run $(kernel) $(series) $(call option,mutant,MUTANT) $(build) $(boot) $(filter)

prove:
	@$(PINWAIT) prove $(kernel) $(build) $(boot)

soak:
	@$(PINWAIT) soak $(kernel) $(series) $(build) $(boot) $(if $(value N),-n $(call quote,$(value N))) $(call option,parallel,PARALLEL) $(if $(STRESS),--stress) $(shard) $(filter)

explore:
	@$(PINWAIT) explore $(kernel) $(series) $(call option,mutant,MUTANT) $(build) $(boot) $(call option,seeds,SEEDS) $(call option,seed,SEED) $(call option,parallel,PARALLEL) $(filter)

mutants:
	@$(PINWAIT) mutants $(kernel) $(series) $(build) $(boot) $(if $(GENERATED),--generated) $(call option,sample,SAMPLE) $(call option,seed,SEED) $(call option,functions,FUNCTIONS) $(if $(RESUME),--resume) $(if $(RECORD),--record) $(shard) $(call each,MUTANTS)

coverage:
	@$(PINWAIT) coverage $(kernel) $(series) $(build) $(boot)

gate:
	@$(PINWAIT) gate $(kernel) $(series) $(call option,jobs,JOBS) $(call option,base,BASE) $(call option,range,RANGE) $(call option,profiles,PROFILES) $(call option,checks,CHECKS) $(shard) $(boot) $(if $(value PATCH),$(call quote,$(value PATCH)))

check-gate:
	@$(PINWAIT) check-gate $(kernel) $(series) $(call option,jobs,JOBS) $(call option,sample,SAMPLE) $(call option,runs,RUNS) $(if $(RESUME),--resume) $(shard) $(choice) $(call each,INPUTS)

presubmit:
	@$(PINWAIT) presubmit $(call option,kdir,KDIR) $(series) $(call option,jobs,JOBS) $(call option,range,RANGE) $(if $(FULL),--full)

merge:
	@$(PINWAIT) merge $(call each,RESULTS)

test check:
	@$(PINWAIT) $@ $(kernel) $(build) $(choice) $(call option,count,COUNT)

prepare:
	@$(PINWAIT) prepare $(kernel) $(series) $(if $(UPDATE),--update)

clean distclean:
	@$(PINWAIT) $@
