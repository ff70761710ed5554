// A chain of the Cosmos SDK beside which the load bench measures Plasma: the SDK's own modules, its
// own server, CometBFT in the same process. Only the prefix of addresses, the coin and the genesis are
// made such that the loader's signed transfers are valid on both chains.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cosmossdk.io/core/appconfig"
	"cosmossdk.io/depinject"
	"cosmossdk.io/log"
	sdkmath "cosmossdk.io/math"
	"github.com/cometbft/cometbft/privval"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/gogoproto/proto"
	"github.com/spf13/cobra"

	runtimev1alpha1 "cosmossdk.io/api/cosmos/app/runtime/v1alpha1"
	appv1alpha1 "cosmossdk.io/api/cosmos/app/v1alpha1"
	authv1 "cosmossdk.io/api/cosmos/auth/module/v1"
	bankv1 "cosmossdk.io/api/cosmos/bank/module/v1"
	consensusv1 "cosmossdk.io/api/cosmos/consensus/module/v1"
	distributionv1 "cosmossdk.io/api/cosmos/distribution/module/v1"
	genutilv1 "cosmossdk.io/api/cosmos/genutil/module/v1"
	govv1 "cosmossdk.io/api/cosmos/gov/module/v1"
	mintv1 "cosmossdk.io/api/cosmos/mint/module/v1"
	slashingv1 "cosmossdk.io/api/cosmos/slashing/module/v1"
	stakingv1 "cosmossdk.io/api/cosmos/staking/module/v1"
	txv1 "cosmossdk.io/api/cosmos/tx/config/v1"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	servercmd "github.com/cosmos/cosmos-sdk/server/cmd"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/testutil/sims"
	sdk "github.com/cosmos/cosmos-sdk/types"
	_ "github.com/cosmos/cosmos-sdk/x/auth"
	_ "github.com/cosmos/cosmos-sdk/x/auth/tx/config"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	_ "github.com/cosmos/cosmos-sdk/x/bank"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	_ "github.com/cosmos/cosmos-sdk/x/consensus"
	_ "github.com/cosmos/cosmos-sdk/x/distribution"
	_ "github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	_ "github.com/cosmos/cosmos-sdk/x/gov"
	_ "github.com/cosmos/cosmos-sdk/x/mint"
	_ "github.com/cosmos/cosmos-sdk/x/slashing"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	_ "github.com/cosmos/cosmos-sdk/x/staking"

	cmtcfg "github.com/cometbft/cometbft/config"
)

const (
	prefix = "xpl"
	denom  = "uxpl"
)

// appConfig is the SDK's usual set of modules, in its usual order.
func appConfig() depinject.Config {
	module := func(name string, config proto.Message) *appv1alpha1.ModuleConfig {
		return &appv1alpha1.ModuleConfig{Name: name, Config: appconfig.WrapAny(config)}
	}
	return appconfig.Compose(&appv1alpha1.Config{Modules: []*appv1alpha1.ModuleConfig{
		module("runtime", &runtimev1alpha1.Module{
			AppName:           "sdk-peer",
			PreBlockers:       []string{"auth"},
			BeginBlockers:     []string{"mint", "distribution", "slashing", "staking"},
			EndBlockers:       []string{"gov", "staking"},
			OverrideStoreKeys: []*runtimev1alpha1.StoreKeyConfig{{ModuleName: "auth", KvStoreKey: "acc"}},
			InitGenesis:       []string{"auth", "bank", "distribution", "staking", "slashing", "gov", "mint", "genutil", "consensus"},
		}),
		module("auth", &authv1.Module{
			Bech32Prefix: prefix,
			ModuleAccountPermissions: []*authv1.ModuleAccountPermission{
				{Account: "fee_collector"},
				{Account: "distribution"},
				{Account: "mint", Permissions: []string{"minter"}},
				{Account: "bonded_tokens_pool", Permissions: []string{"burner", "staking"}},
				{Account: "not_bonded_tokens_pool", Permissions: []string{"burner", "staking"}},
				{Account: "gov", Permissions: []string{"burner"}},
			},
		}),
		module("bank", &bankv1.Module{}),
		module("staking", &stakingv1.Module{}),
		module("distribution", &distributionv1.Module{}),
		module("slashing", &slashingv1.Module{}),
		module("gov", &govv1.Module{}),
		module("mint", &mintv1.Module{}),
		module("consensus", &consensusv1.Module{}),
		module("genutil", &genutilv1.Module{}),
		module("tx", &txv1.Config{}),
	}})
}

func build(logger log.Logger, options servertypes.AppOptions) (*runtime.AppBuilder, codec.Codec, error) {
	var builder *runtime.AppBuilder
	var cdc codec.Codec
	config := depinject.Configs(appConfig(), depinject.Supply(logger, options))
	err := depinject.Inject(config, &builder, &cdc)
	return builder, cdc, err
}

func newApp(logger log.Logger, db dbm.DB, trace io.Writer, options servertypes.AppOptions) servertypes.Application {
	builder, _, err := build(logger, options)
	if err != nil {
		panic(err)
	}
	// As the SDK's own simapp does: a block is executed while it is voted for.
	settings := append(server.DefaultBaseappOptions(options), baseapp.SetOptimisticExecution())
	app := builder.Build(db, trace, settings...)
	if err := app.Load(true); err != nil {
		panic(err)
	}
	return app
}

func export(log.Logger, dbm.DB, io.Writer, int64, bool, []string, servertypes.AppOptions, []string) (servertypes.ExportedApp, error) {
	return servertypes.ExportedApp{}, fmt.Errorf("this chain is not exported")
}

// genesis replaces the app state of HOME/config/genesis.json. The validator is the one whose key is in
// HOME; the accounts have the order and so the numbers of the file's lines.
func genesis(home, accounts string) error {
	file := filepath.Join(home, "config", "genesis.json")
	doc, err := genutiltypes.AppGenesisFromFile(file)
	if err != nil {
		return err
	}
	builder, cdc, err := build(log.NewNopLogger(), sims.EmptyAppOptions{})
	if err != nil {
		return err
	}
	lines, err := os.Open(accounts)
	if err != nil {
		return err
	}
	defer lines.Close()
	var auth []authtypes.GenesisAccount
	var balances []banktypes.Balance
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		text, amount, _ := strings.Cut(scanner.Text(), " ")
		address, err := sdk.AccAddressFromBech32(text)
		if err != nil {
			return err
		}
		units, ok := sdkmath.NewIntFromString(amount)
		if !ok {
			return fmt.Errorf("%q is no amount", amount)
		}
		auth = append(auth, authtypes.NewBaseAccount(address, nil, uint64(len(auth)), 0))
		balances = append(balances, banktypes.Balance{Address: text, Coins: sdk.NewCoins(sdk.NewCoin(denom, units))})
	}
	config := cmtcfg.DefaultConfig()
	config.SetRoot(home)
	key := privval.LoadFilePVEmptyState(config.PrivValidatorKeyFile(), "")
	validators := cmttypes.NewValidatorSet([]*cmttypes.Validator{cmttypes.NewValidator(key.Key.PubKey, 1)})
	state, err := sims.GenesisStateWithValSet(cdc, builder.DefaultGenesis(), validators, auth, balances...)
	if err != nil {
		return err
	}
	// A validator that is bonded at genesis has no record of its signatures unless the genesis says so.
	signer := sdk.ConsAddress(validators.Validators[0].Address)
	slashing := slashingtypes.DefaultGenesisState()
	slashing.SigningInfos = []slashingtypes.SigningInfo{{
		Address:              signer.String(),
		ValidatorSigningInfo: slashingtypes.NewValidatorSigningInfo(signer, 0, 0, time.Unix(0, 0).UTC(), false, 0),
	}}
	state[slashingtypes.ModuleName] = cdc.MustMarshalJSON(slashing)
	doc.AppName, doc.AppHash, doc.InitialHeight = "sdk-peer", nil, 1
	doc.Consensus.Validators = nil
	doc.Consensus.Params.Block.MaxGas = -1
	if doc.AppState, err = json.Marshal(state); err != nil {
		return err
	}
	return doc.SaveAs(file)
}

func main() {
	config := sdk.GetConfig()
	config.SetBech32PrefixForAccount(prefix, prefix+"pub")
	config.SetBech32PrefixForValidator(prefix+"valoper", prefix+"valoperpub")
	config.SetBech32PrefixForConsensusNode(prefix+"valcons", prefix+"valconspub")
	config.Seal()
	sdk.DefaultBondDenom = denom
	root := &cobra.Command{
		Use:          "sdk-peer",
		SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return server.InterceptConfigsPreRunHandler(cmd, serverconfig.DefaultConfigTemplate, serverconfig.DefaultConfig(), cmtcfg.DefaultConfig())
		},
	}
	server.AddCommands(root, "", newApp, export, func(*cobra.Command) {})
	root.AddCommand(&cobra.Command{
		Use:              "genesis HOME ACCOUNTS",
		Short:            "Make this chain's genesis of HOME's, with accounts of a file of lines ADDRESS AMOUNT",
		Args:             cobra.ExactArgs(2),
		PersistentPreRun: func(*cobra.Command, []string) {},
		RunE:             func(_ *cobra.Command, args []string) error { return genesis(args[0], args[1]) },
	})
	if err := servercmd.Execute(root, "", ""); err != nil {
		os.Exit(1)
	}
}
